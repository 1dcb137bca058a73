import type { Scalar, Tensor2D } from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  cosineSchedule, CrossEntropyObjective, difference, isotropic, learn, PlainBackend, Random, randomParameters,
  type CompiledEncoder, type LabelledBatch, type LearnerState, type NamedArrays, type NamedTensors, type Objective,
  type ProgressEvent, type StepContext,
} from "../src/index.js";
import { closeTo } from "./fixture-files.js";
import "./plain-backends.js";

const spec = visionSpec({
  embed_dim: 2,
  vision_cfg: { image_size: 2, layers: 1, width: 2, head_width: 2, patch_size: 1 },
  text_cfg: { context_length: 1, vocab_size: 1, width: 1, heads: 1, layers: 1 },
});
const random = new Random("plan");
const head = { name: "two", classNames: ["a", "b"], width: 2, weight: Float32Array.of(3, 0, 0, 3) };

/** Batches whose number differs from epoch to epoch. */
const COUNTS = [3, 1, 4];

function batches(epoch: number): LabelledBatch[] {
  const own = new Random(`epoch ${epoch}`);
  return Array.from({ length: COUNTS[epoch - 1]! }, () => ({
    images: { data: Float32Array.from({ length: 2 * 2 * 2 * 3 }, () => own.normal()), shape: [2, 2, 2, 3] },
    labels: Int32Array.of(0, 1),
  }));
}

/** Remembers where in the run each loss was asked for. */
class Watching implements Objective {
  readonly id = "watching";
  readonly contexts: StepContext[] = [];
  readonly #own = new CrossEntropyObjective(head);

  views(batch: LabelledBatch): ReturnType<CrossEntropyObjective["views"]> {
    return this.#own.views(batch);
  }

  loss(features: readonly Tensor2D[], batch: LabelledBatch, _parameters: NamedTensors, context: StepContext): Scalar {
    this.contexts.push(context);
    return this.#own.loss(features, batch);
  }
}

let encoder: CompiledEncoder;

beforeAll(async () => {
  const backend = new PlainBackend("cpu");
  await backend.activate();
  const base = randomParameters(spec, random.fork("base"));
  encoder = await backend.compile(spec, base, [difference("x", base, randomParameters(spec, random.fork("x")))], isotropic());
});

describe("epochs that are planned from the model", () => {
  const settings = { learningRate: 0.1, epochs: COUNTS.length, schedule: cosineSchedule() };

  it("start from the coefficients that the epoch before ended with", async () => {
    const seen: NamedArrays[] = [];
    const states: LearnerState[] = [];
    await learn<LabelledBatch>({
      ...settings, encoder, objective: new CrossEntropyObjective(head),
      plan: (epoch, coefficients) => {
        seen.push({ coef: coefficients["coef"]!.slice() });
        return Promise.resolve({ batches: batches(epoch), count: COUNTS[epoch - 1]! });
      },
      save: (state) => { states.push(state); return Promise.resolve(); },
    });
    expect(seen[0]!["coef"]).toEqual(new Float32Array(1));
    states.slice(0, -1).forEach((state, i) => { expect(seen[i + 1]!["coef"]).toEqual(state.values["coef"]); });
    expect(states.map(({ step }) => step)).toEqual([3, 4, 8]);
  });

  it("follow the schedule as if every epoch had as many steps as the current one", async () => {
    const rates: number[] = [];
    const objective = new Watching();
    await learn<LabelledBatch>({
      ...settings, encoder, objective,
      plan: (epoch) => Promise.resolve({ batches: batches(epoch), count: COUNTS[epoch - 1]! }),
      onEvent: (event: ProgressEvent) => { if (event.type === "step") rates.push(event.learningRate); },
    });
    const progress = COUNTS.flatMap((count, epoch) => Array.from({ length: count }, (_, step) => (epoch + step / count) / COUNTS.length));
    closeTo(rates, progress.map((share) => 0.05 * (1 + Math.cos(Math.PI * share))), 1e-12);
    closeTo(objective.contexts.map(({ step, steps }) => step / steps), progress, 1e-12);
    expect(Math.max(...progress)).toBeLessThan(1);
  });

  it("are what fixed batches are, when their number does not differ", async () => {
    const common = { learningRate: 0.1, epochs: 3, schedule: cosineSchedule(), encoder, objective: new CrossEntropyObjective(head) };
    const fixed = await learn<LabelledBatch>({ ...common, batches: () => batches(1), batchesPerEpoch: 3 });
    const planned = await learn<LabelledBatch>({ ...common, plan: () => Promise.resolve({ batches: batches(1), count: 3 }) });
    expect(planned).toEqual(fixed);
  });

  it("are refused when they hold other than what was announced, or nothing", async () => {
    const plan = (count: number) => () => Promise.resolve({ batches: batches(1), count });
    const common = { ...settings, encoder, objective: new CrossEntropyObjective(head) };
    await expect(learn<LabelledBatch>({ ...common, plan: plan(2) })).rejects.toThrow("batches of epoch 1");
    await expect(learn<LabelledBatch>({ ...common, plan: plan(0) })).rejects.toThrow("batches of an epoch");
  });
});
