import { describe, expect, it } from "vitest";
import { bestTrial, cosineSchedule, nonLinearAdvantage, type Metrics, type ScalarTrial } from "../src/index.js";
import { fixtureJson, tolerance } from "./fixture-files.js";

interface Search {
  results: ({ coef: number } & Record<string, number>)[];
  args: { metric: string; minimize?: boolean; control_metric?: string; control_metric_threshold?: number };
  best: number | null;
}
const expected = fixtureJson<{
  cosine_lr: { base_lr: number; warmup: number; steps: number; lr_at_step_0_to_steps_inclusive: number[] }[];
  adapter_step_index_as_coded: { num_batches: number; epochs: number; steps: number[]; lr_as_coded: number[]; lr_intended: number[] };
  find_optimal_coef: Record<string, Search>;
  nonlinear_advantage_utils: { nl: number; lin: number; C: number; value: number }[];
}>("schedules/expected.json");
const limit = tolerance("schedules");

function expectClose(got: number, want: number): void {
  expect(Math.abs(got - want)).toBeLessThanOrEqual(limit * Math.max(1, Math.abs(want)));
}

describe("schedules", () => {
  it("follows warm-up and cosine at every step", () => {
    for (const { base_lr: rate, warmup, steps, lr_at_step_0_to_steps_inclusive: rates } of expected.cosine_lr) {
      rates.forEach((want, step) => { expectClose(rate * cosineSchedule(warmup)(step, steps), want); });
    }
  });

  it("reaches zero once over an adapter's epochs, and twice when the epoch is counted twice", () => {
    const { num_batches: batches, epochs, steps, lr_as_coded: asCoded, lr_intended: intended } = expected.adapter_step_index_as_coded;
    const schedule = cosineSchedule();
    const base = intended[0]!;
    intended.forEach((want, step) => { expectClose(base * schedule(step, batches * epochs), want); });
    steps.forEach((step, i) => { expectClose(base * schedule(step, batches * epochs), asCoded[i]!); });
  });

  it.each(Object.keys(expected.find_optimal_coef))("finds the best scalar: %s", (name) => {
    const { results, args, best } = expected.find_optimal_coef[name]!;
    const trials = results.map(({ coef, ...metrics }): ScalarTrial => ({ coefficient: coef, metrics: metrics as Metrics }));
    const control = args.control_metric === undefined ? {} : { control: { metric: args.control_metric, threshold: args.control_metric_threshold! } };
    const found = bestTrial(trials, { metric: args.metric, minimise: args.minimize ?? false, ...control });
    expect(found?.coefficient ?? null).toBe(best);
  });

  it("measures the advantage of the non-linear model", () => {
    for (const { nl, lin, C, value } of expected.nonlinear_advantage_utils) expectClose(nonLinearAdvantage(nl, lin, C), value);
  });
});
