import { describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  bestTrial, CrossEntropyObjective, cosineSchedule, difference, isotropic, learn, nonLinearAdvantage, PlainBackend, Random, randomParameters,
  type LabelledBatch, type Metrics, type ScalarTrial,
} from "../src/index.js";
import { closeTo, fixtureJson, tolerance } from "./fixture-files.js";
import "./plain-backends.js";

interface Search {
  results: ({ coef: number } & Record<string, number>)[];
  args: { metric: string; minimize?: boolean; control_metric?: string; control_metric_threshold?: number };
  best: number | null;
}
const expected = fixtureJson<{
  cosine_lr: { base_lr: number; warmup: number; steps: number; lr_at_step_0_to_steps_inclusive: number[] }[];
  adapter_step_index_as_coded: { num_batches: number; epochs: number; steps: number[]; lr_as_coded: number[]; lr_intended: number[] };
  grad_accumulation_step_index: { num_batches: number; epochs: number; accum: number; optimizer_step_indices: number[] }[];
  find_optimal_coef: Record<string, Search>;
  nonlinear_advantage_utils: { nl: number; lin: number; C: number; value: number }[];
}>("schedules/expected.json");
const limit = tolerance("schedules");

/** The indices of the steps that learning takes, on the smallest encoder there is. */
async function optimiserSteps(batchesPerEpoch: number, epochs: number, accumulate: number): Promise<number[]> {
  const backend = new PlainBackend("cpu");
  await backend.activate();
  const spec = visionSpec({
    embed_dim: 2,
    vision_cfg: { image_size: 1, layers: 1, width: 2, head_width: 2, patch_size: 1 },
    text_cfg: { context_length: 1, vocab_size: 1, width: 1, heads: 1, layers: 1 },
  });
  const [base, other] = [randomParameters(spec, new Random("base")), randomParameters(spec, new Random("other"))];
  const encoder = await backend.compile(spec, base, [difference("step", base, other)], isotropic());
  const objective = new CrossEntropyObjective({ name: "two", classNames: ["a", "b"], width: 2, weight: Float32Array.of(1, 0, 0, 1) });
  const batch: LabelledBatch = { images: { data: Float32Array.of(1, 2, 3), shape: [1, 1, 1, 3] }, labels: Int32Array.of(0) };
  const indices: number[] = [];
  await learn({
    encoder, objective, batchesPerEpoch, epochs, accumulate, learningRate: 0.1,
    batches: () => Array.from({ length: batchesPerEpoch }, () => batch),
    onEvent: (event) => { if (event.type === "step") indices.push(event.step - 1); },
  });
  encoder.dispose();
  return indices;
}

describe("schedules", () => {
  it("follows warm-up and cosine at every step", () => {
    for (const { base_lr: rate, warmup, steps, lr_at_step_0_to_steps_inclusive: rates } of expected.cosine_lr) {
      closeTo(rates.map((_want, step) => rate * cosineSchedule(warmup)(step, steps)), rates, limit, `${steps} steps`);
    }
  });

  it("reaches zero once over an adapter's epochs, and twice when the epoch is counted twice", () => {
    const { num_batches: batches, epochs, steps, lr_as_coded: asCoded, lr_intended: intended } = expected.adapter_step_index_as_coded;
    const schedule = cosineSchedule();
    const base = intended[0]!;
    closeTo(intended.map((_want, step) => base * schedule(step, batches * epochs)), intended, limit, "intended");
    closeTo(steps.map((step) => base * schedule(step, batches * epochs)), asCoded, limit, "as coded");
  });

  // Where batches are left over, ours takes a step at the end of the epoch and the reference does not.
  const whole = expected.grad_accumulation_step_index.filter(({ num_batches: batches, accum }) => batches % accum === 0);
  it.each(whole)("counts steps through the epochs: $num_batches batches, $accum a step", async (entry) => {
    expect(await optimiserSteps(entry.num_batches, entry.epochs, entry.accum)).toEqual(entry.optimizer_step_indices);
  });

  it.each(Object.keys(expected.find_optimal_coef))("finds the best scalar: %s", (name) => {
    const { results, args, best } = expected.find_optimal_coef[name]!;
    const trials = results.map(({ coef, ...metrics }): ScalarTrial => ({ coefficient: coef, metrics: metrics as Metrics }));
    const control = args.control_metric === undefined ? {} : { control: { metric: args.control_metric, threshold: args.control_metric_threshold! } };
    const found = bestTrial(trials, { metric: args.metric, minimise: args.minimize ?? false, ...control });
    expect(found?.coefficient ?? null).toBe(best);
  });

  it("measures the advantage of the non-linear model", () => {
    for (const { nl, lin, C, value } of expected.nonlinear_advantage_utils) closeTo(nonLinearAdvantage(nl, lin, C), value, limit);
  });
});
