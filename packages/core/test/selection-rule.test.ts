import { describe, expect, it } from "vitest";
import { additionMetrics, additionRule, bestTrial, negationRule, type ScalarRule, type ScalarTrial } from "../src/index.js";

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

describe("the best point of the scalar search", () => {
  const trials = [0.3, 0.5, 0.5, 0.2].map((accuracy, i) => ({ coefficient: i / 4, metrics: { accuracy, control: 0.4 - i / 10 } }));
  const at = (rule: Omit<ScalarRule, "metric">): number | undefined => bestTrial(trials, { metric: "accuracy", ...rule })?.coefficient;

  it("has the highest metric, or the lowest; the first of equals", () => {
    expect([at({}), at({ minimise: false }), at({ minimise: true })]).toEqual([0.25, 0.25, 0.75]);
  });

  it("keeps the control at its threshold or above", () => {
    expect(at({ minimise: true, control: { metric: "control", threshold: 0.4 } })).toBe(0);
    expect(at({ control: { metric: "control", threshold: trials[1]!.metrics.control } })).toBe(0.25);
    expect(at({ control: { metric: "control", threshold: 0.5 } })).toBeUndefined();
    const unmeasured = [{ coefficient: 1, metrics: { accuracy: 0.9, control: NaN } }];
    expect(bestTrial(unmeasured, { metric: "accuracy", control: { metric: "control", threshold: 0 } })).toBeNull();
  });

  it("is none where nothing is better than always wrong, or, to forget, than always right", () => {
    const always = (accuracy: number): ScalarTrial[] => [{ coefficient: 1, metrics: { accuracy } }];
    expect(bestTrial(always(0), { metric: "accuracy" })).toBeNull();
    expect(bestTrial(always(0.01), { metric: "accuracy" })).not.toBeNull();
    expect(bestTrial(always(1), { metric: "accuracy", minimise: true })).toBeNull();
    expect(bestTrial(always(0.99), { metric: "accuracy", minimise: true })).not.toBeNull();
  });
});
