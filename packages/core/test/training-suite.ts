import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  AbortedError, blockwise, constantSchedule, cosineSchedule, difference, encode, isotropic, learn, lossAndGradients, SlicedCrossEntropyObjective,
  type Backend, type Composition, type LearnerState, type ProgressEvent, type SlicedBatch,
} from "../src/index.js";
import {
  closeTo, fixtureBatchCount, fixtureBatchSize, fixtureCheckpoint, fixtureHead, fixtureImages, fixtureJson, fixtureLabels,
  fixtureTensors, floats, requireBelow, tolerance,
} from "./fixture-files.js";

interface Run {
  mode: string;
  objective: "fewshot" | "negation" | "addition";
  base_lr: number;
  cosine: boolean;
  lp_reg: 1 | 2 | null;
  task_vectors: number[];
  max_norm: number;
  loss: number[];
  /** Cross-entropy of each part, per step. */
  ce: number[][];
  lr: number[];
  grad_norm: number[];
}

/** What a run's `mode` stands for. */
export type Modes = Readonly<Record<string, { mode: "standard" | "linearised"; make: () => Composition }>>;

const COMPOSITIONS: Modes = {
  isotropic: { mode: "standard", make: isotropic },
  blockwise: { mode: "standard", make: blockwise },
  linearized_blockwise: { mode: "linearised", make: blockwise },
  linearized_isotropic: { mode: "linearised", make: isotropic },
};

/** Keeps the cross-entropy of each part when the loss was last computed. */
class WatchedObjective extends SlicedCrossEntropyObjective {
  #seen: tf.Tensor | null = null;

  override entropies(features: tf.Tensor2D, batch: SlicedBatch): tf.Scalar[] {
    const entropies = super.entropies(features, batch);
    this.#seen?.dispose();
    this.#seen = tf.keep(tf.stack(entropies));
    return entropies;
  }

  /** Whoever takes them owns them. */
  takeSeen(): tf.Tensor {
    const seen = this.#seen!;
    this.#seen = null;
    return seen;
  }
}

const runs = fixtureJson<Record<string, Run>>("training/expected.json");
const inputs = fixtureJson<Record<string, number[]>>("inputs/expected.json");

/** The runs whose composition is among these. */
export function runsOf(modes: Modes): string[] {
  return Object.keys(runs).filter((name) => runs[name]?.mode !== undefined && runs[name].mode in modes);
}

/** The runs whose composition is among those of `core`. */
export const TRAINING_RUNS = runsOf(COMPOSITIONS);

/** One of them for each objective, and one linearised: for backends on which a step takes its time. */
export const ONE_OF_EACH = ["fewshot_blockwise", "fewshot_linearized", "negation", "addition_isotropic"];

/** How many images of a batch belong to each head. */
function countsOf({ objective }: Run): number[] {
  if (objective === "fewshot") return [fixtureBatchSize()];
  return inputs[objective === "negation" ? "split2" : "split3"]!;
}

async function objectiveOf(run: Run): Promise<WatchedObjective> {
  return new WatchedObjective(await Promise.all(countsOf(run).map(async (_count, index) => ({
    head: await fixtureHead(index), weight: run.objective === "negation" && index === 0 ? -1 : 1,
  }))));
}

/** Batch `b` of the fixtures, each slice with the labels of its head. */
async function slicedBatch(run: Run, b: number): Promise<SlicedBatch> {
  const size = fixtureBatchSize();
  let from = b * size;
  const labels: Int32Array[] = [];
  for (const [index, count] of countsOf(run).entries()) labels.push(await fixtureLabels(index, from, (from += count)));
  return { images: await fixtureImages(b * size, (b + 1) * size), labels };
}

/**
 * Optimiser steps against the golden trajectories, on one backend.
 * @param most how many steps of each run; all of them by default.
 */
export function trainingSuite(backend: Backend, names: readonly string[] = TRAINING_RUNS, modes = COMPOSITIONS, most = Infinity): void {
  const golden = fixtureTensors("training/training.safetensors");
  const config = fixtureJson("checkpoints/open_clip_config.json");

  describe(`training on ${backend.id}`, () => {
    it("has runs to follow", () => {
      expect(names.length).toBeGreaterThan(0);
    });

    it.each(names)("follows the trajectory of %s", async (name) => {
      await backend.activate();
      const run = runs[name]!;
      const { mode, make } = modes[run.mode]!;
      const base = await fixtureCheckpoint("zeroshot");
      const vectors = await Promise.all(run.task_vectors.map(async (i) => difference(`tv${i}`, base, await fixtureCheckpoint(`finetuned_${i}`))));
      const spec = visionSpec(config, { includeLeftovers: true });
      const encoder = await backend.compile(spec, base, vectors, make(), { mode });
      const objective = await objectiveOf(run);
      const count = fixtureBatchCount();
      const batches = await Promise.all(Array.from({ length: count }, (_, b) => slicedBatch(run, b)));

      const zero = await encoder.compose(encoder.initialCoefficients());
      const first = await lossAndGradients([{ ...batches[0]!.images, encoder: zero }], (features) => objective.loss(features, batches[0]!));
      closeTo(first.encoders.get(zero)!["coef"]!, await floats(golden, `${name}.grad_step1`), tolerance("training.grad_step1"), "first gradient");
      zero.dispose();
      objective.takeSeen().dispose();

      const length = Math.min(most, run.loss.length);
      const controller = new AbortController();
      const states: LearnerState[] = [];
      const steps: Extract<ProgressEvent, { type: "step" }>[] = [];
      const seen: tf.Tensor[] = [];
      const learning = learn<SlicedBatch>({
        encoder,
        objective,
        batches: (epoch) => [batches[(epoch - 1) % count]!],
        batchesPerEpoch: 1,
        epochs: run.loss.length,
        learningRate: run.base_lr,
        schedule: run.cosine ? cosineSchedule() : constantSchedule,
        clipNorm: run.max_norm,
        ...(run.lp_reg === null ? {} : { regulariser: { order: run.lp_reg } }),
        signal: controller.signal,
        save: (state) => {
          if (states.push(state) === length) controller.abort();
          return Promise.resolve();
        },
        onEvent: (event) => {
          if (event.type !== "step") return;
          steps.push(event);
          seen.push(objective.takeSeen());
        },
      });
      if (length < run.loss.length) await expect(learning).rejects.toThrow(AbortedError);
      else await learning;
      const entropies: number[] = [];
      for (const tensor of seen) entropies.push(...await tensor.data());
      tf.dispose(seen);
      closeTo(steps.map(({ loss }) => loss), run.loss.slice(0, length), tolerance("training.loss"), "losses");
      closeTo(steps.map(({ gradientNorm }) => gradientNorm), run.grad_norm.slice(0, length), tolerance("training.grad_norm"), "gradient norms");
      // TOLERANCES.md gives cross-entropies and gradient norms one limit.
      closeTo(entropies, run.ce.slice(0, length).flat(), tolerance("training.grad_norm"), "cross-entropies");
      closeTo(steps.map(({ learningRate }) => learningRate), run.lr.slice(0, length), tolerance("schedules"), "learning rates");

      const limit = tolerance("training.coefficients_absolute", name);
      const prefix = `${name}.coef_after_`;
      const stepOf = (key: string): number => Number(key.slice(prefix.length));
      const kept = [...golden.keys()].filter((tensor) => tensor.startsWith(prefix) && stepOf(tensor) <= length);
      expect(kept.length).toBeGreaterThan(0);
      for (const key of kept) {
        const want = await floats(golden, key);
        const got = states[stepOf(key) - 1]!.values["coef"]!;
        requireBelow(Math.max(...want.map((value, i) => Math.abs(value - got[i]!))), limit, key);
        // Blocks without a difference have no gradient: their coefficients stay exactly 0.
        want.forEach((value, i) => { if (value === 0) expect(got[i], `${key}[${i}]`).toBe(0); });
      }
      if (length === run.loss.length) {
        const final = await encoder.compose(states.at(-1)!.values);
        const features = await encode(final, batches[0]!.images);
        closeTo(await features.data(), await floats(golden, `${name}.final_features_batch0`), tolerance("training.final_features"), "final features");
        features.dispose();
        final.dispose();
      }
      encoder.dispose();
    });
  });
}
