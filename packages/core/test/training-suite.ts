import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  blockwise, constantSchedule, cosineSchedule, crossEntropy, difference, encode, headLogits, isotropic, learn, lossAndGradients,
  type Backend, type ClassificationHead, type Composition, type EncoderInputs, type LearnerState, type Objective, type ProgressEvent,
} from "../src/index.js";
import {
  checkpointFacts, closeTo, fixtureBatchCount, fixtureBatchSize, fixtureCheckpoint, fixtureHead, fixtureImages, fixtureJson, fixtureLabels,
  fixtureTensors, floats, tolerance,
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

interface Batch {
  images: EncoderInputs;
  /** Labels of every head for every image of the batch. */
  labels: Int32Array[];
}

/** What a run's `mode` stands for. */
export type Modes = Readonly<Record<string, { mode: "standard" | "linearised"; make: () => Composition }>>;

const COMPOSITIONS: Modes = {
  isotropic: { mode: "standard", make: isotropic },
  blockwise: { mode: "standard", make: blockwise },
  linearized_blockwise: { mode: "linearised", make: blockwise },
  linearized_isotropic: { mode: "linearised", make: isotropic },
};

/** Σ sign · cross-entropy of consecutive slices of one batch, each with a head of its own. */
class SlicedObjective implements Objective<Batch> {
  readonly id = "sliced";
  /** The cross-entropy of each part when the loss was last computed. */
  entropies: number[] = [];

  constructor(readonly parts: readonly { head: ClassificationHead; index: number; count: number; sign: number }[]) {}

  views(batch: Batch): [EncoderInputs] {
    return [batch.images];
  }

  loss([features]: readonly tf.Tensor2D[], batch: Batch): tf.Scalar {
    let from = 0;
    const entropies = this.parts.map(({ head, index, count }) => {
      const part = tf.slice2d(features!, [from, 0], [count, -1]);
      const labels = batch.labels[index]!.slice(from, from + count);
      from += count;
      return crossEntropy(headLogits(head, part), labels);
    });
    this.entropies = entropies.map((entropy) => entropy.dataSync()[0]!);
    return tf.addN(entropies.map((entropy, i) => tf.mul(entropy, this.parts[i]!.sign))) as tf.Scalar;
  }
}

/** Twenty linearised steps on plain tfjs take their time on a busy machine. */
const TIMEOUT_MS = 300_000;

const runs = fixtureJson<Record<string, Run>>("training/expected.json");
const inputs = fixtureJson<Record<string, number[]>>("inputs/expected.json");

/** The runs whose composition is among these. */
export function runsOf(modes: Modes): string[] {
  return Object.keys(runs).filter((name) => runs[name]?.mode !== undefined && runs[name].mode in modes);
}

/** The runs whose composition is among those of `core`. */
export const TRAINING_RUNS = runsOf(COMPOSITIONS);

async function objectiveOf(run: Run): Promise<SlicedObjective> {
  const split = run.objective === "fewshot" ? [fixtureBatchSize()] : inputs[run.objective === "negation" ? "split2" : "split3"]!;
  return new SlicedObjective(await Promise.all(split.map(async (count, index) => ({
    head: await fixtureHead(index), index, count, sign: run.objective === "negation" && index === 0 ? -1 : 1,
  }))));
}

/** Twenty optimiser steps against the golden trajectories, on one backend. */
export function trainingSuite(backend: Backend, names: readonly string[] = TRAINING_RUNS, modes = COMPOSITIONS): void {
  const golden = fixtureTensors("training/training.safetensors");
  const config = fixtureJson("checkpoints/open_clip_config.json");
  const { heads } = checkpointFacts();

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
      const size = fixtureBatchSize();
      const count = fixtureBatchCount();
      const batches = await Promise.all(Array.from({ length: count }, async (_, b): Promise<Batch> => ({
        images: await fixtureImages(b * size, (b + 1) * size),
        labels: await Promise.all(Array.from({ length: heads }, (_head, h) => fixtureLabels(h, b * size, (b + 1) * size))),
      })));

      const zero = await encoder.compose(encoder.initialCoefficients());
      const first = await lossAndGradients([{ ...batches[0]!.images, encoder: zero }], (features) => objective.loss(features, batches[0]!));
      closeTo(first.encoders.get(zero)!["coef"]!, await floats(golden, `${name}.grad_step1`), tolerance("training.grad_step1"), "first gradient");
      zero.dispose();

      const states: LearnerState[] = [];
      const steps: Extract<ProgressEvent, { type: "step" }>[] = [];
      const entropies: number[][] = [];
      const { last } = await learn<Batch>({
        encoder,
        objective,
        batches: (epoch) => [batches[(epoch - 1) % count]!],
        batchesPerEpoch: 1,
        epochs: run.loss.length,
        learningRate: run.base_lr,
        schedule: run.cosine ? cosineSchedule() : constantSchedule,
        clipNorm: run.max_norm,
        ...(run.lp_reg === null ? {} : { regulariser: { order: run.lp_reg } }),
        save: (state) => { states.push(state); return Promise.resolve(); },
        onEvent: (event) => {
          if (event.type !== "step") return;
          steps.push(event);
          entropies.push(objective.entropies);
        },
      });
      closeTo(steps.map(({ loss }) => loss), run.loss, tolerance("training.loss"), "losses");
      closeTo(steps.map(({ gradientNorm }) => gradientNorm), run.grad_norm, tolerance("training.grad_norm"), "gradient norms");
      // TOLERANCES.md gives cross-entropies and gradient norms one limit.
      closeTo(entropies.flat(), run.ce.flat(), tolerance("training.grad_norm"), "cross-entropies");
      closeTo(steps.map(({ learningRate }) => learningRate), run.lr, tolerance("schedules"), "learning rates");

      const limit = tolerance("training.coefficients_absolute", name);
      const kept = [...golden.keys()].filter((tensor) => tensor.startsWith(`${name}.coef_after_`));
      expect(kept.length).toBeGreaterThan(0);
      for (const key of kept) {
        const step = Number(key.slice(`${name}.coef_after_`.length));
        const want = await floats(golden, key);
        const got = states[step - 1]!.values["coef"]!;
        expect(Math.max(...want.map((value, i) => Math.abs(value - got[i]!))), key).toBeLessThanOrEqual(limit);
        // Blocks without a difference have no gradient: their coefficients stay exactly 0.
        want.forEach((value, i) => { if (value === 0) expect(got[i], `${key}[${i}]`).toBe(0); });
      }
      const final = await encoder.compose(last);
      const features = await encode(final, batches[0]!.images);
      closeTo(await features.data(), await floats(golden, `${name}.final_features_batch0`), tolerance("training.final_features"), "final features");
      features.dispose();
      final.dispose();
      encoder.dispose();
    }, TIMEOUT_MS);
  });
}
