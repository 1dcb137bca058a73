import { describe, expect, it } from "vitest";
import { additionMetrics, additionRule, negationRule } from "../src/index.js";

describe("negation's rule", () => {
  const rule = negationRule({ target: 0.6, control: 0.4 }, 0.95);

  it.each([
    ["a lower target with the control kept", { target: 0.5, control: 0.38 }, null, true],
    ["a control below its share of zero-shot", { target: 0.1, control: 0.379 }, null, false],
    ["a target that is no lower than zero-shot", { target: 0.6, control: 0.4 }, null, false],
    ["a target that is lower than the best", { target: 0.4, control: 0.4 }, { target: 0.5, control: 0.4 }, true],
    ["an equal target: the first epoch stays", { target: 0.5, control: 0.4 }, { target: 0.5, control: 0.38 }, false],
  ])("%s: %j after %j is kept: %s", (_what, candidate, best, kept) => {
    expect(rule(candidate, best)).toBe(kept);
  });
});

describe("addition", () => {
  it("divides by the fine-tuned accuracies, task by task", () => {
    expect(additionMetrics({ a: 0.4, b: 0.3 }, { a: 0.8, b: 0.3 })).toEqual({ a: 0.4, b: 0.3, mean: 0.35, "normalised mean": 0.75 });
  });

  it("counts a task whose fine-tuned model is always wrong with 0", () => {
    expect(additionMetrics({ a: 0.4, b: 0.3 }, { a: 0.4, b: 0 })["normalised mean"]).toBe(0.5);
  });

  it("keeps what is better than zero-shot and than the best so far", () => {
    const rule = additionRule(0.5);
    const at = (value: number): Record<string, number> => ({ "normalised mean": value });
    expect([rule(at(0.5), null), rule(at(0.6), null), rule(at(0.6), at(0.6)), rule(at(0.7), at(0.6))]).toEqual([false, true, false, true]);
  });
});
