import {
  headLogits,
  type ClassificationHead, type NamedTensors, type Predictions, type StepContext, type TrustedSet, type UnlabelledBatch,
  type UnsupervisedObjective, type View,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Scalar, Tensor2D } from "@tensorflow/tfjs-core";
import { z } from "zod";
import { MOST_PER_CLASS, releasedSelection, trustedPerClass, trustedSet } from "./trusted-set.js";

/** How a target is made of the weak view, and when it counts. */
export interface UfmTargets {
  /** e of σ(p) = pᵉ / Σ pᵉ: above 1 sharper than the prediction, below 1 flatter. */
  readonly exponent: number;
  /** What must exceed ω: the largest of p, or of σ(p). */
  readonly confidence: "raw" | "sharpened";
  /** Whether trusted images, too, must exceed it: with ω = 1 not even a certain target does. */
  readonly thresholdTrusted: boolean;
}

/** The target of each image, `(batch, C)`; a row of zeros where the image does not count. */
function countedTargets(weak: Tensor2D, trusted: Int32Array, { exponent, confidence, thresholdTrusted }: UfmTargets, threshold: number): Tensor2D {
  const [rows, classes] = weak.shape;
  const oneHot = new Float32Array(rows * classes);
  trusted.forEach((label, row) => { if (label >= 0) oneHot[row * classes + label] = 1; });
  const isTrusted = tf.tensor2d(Float32Array.from(trusted, (label) => Number(label >= 0)), [rows, 1]);
  // pᵉ / Σ pᵉ is the softmax of e times the logits.
  const sigma = tf.softmax(tf.mul(weak, exponent));
  const target = tf.add(tf.tensor2d(oneHot, [rows, classes]), tf.mul(tf.sub(1, isTrusted), sigma));
  const certainty = tf.max(confidence === "raw" ? tf.softmax(weak) : sigma, 1, true);
  const reached = tf.cast(tf.greater(tf.maximum(certainty, isTrusted), threshold), "float32");
  return tf.mul(target, thresholdTrusted ? reached : tf.maximum(reached, isTrusted)) as Tensor2D;
}

/**
 * Cross-entropy between targets from the weak view and the strong view's predictions, mean over the images that count;
 * 0 with gradient 0 where none does. No gradient flows to the weak view.
 * @param weak logits `(batch, C)`, @param strong logits `(batch, C)`.
 * @param trusted the pseudo-label of each image that is trusted, −1 for the others, which count where their confidence
 *   exceeds `threshold`.
 */
export function ufmLoss(weak: Tensor2D, strong: Tensor2D, trusted: Int32Array, targets: UfmTargets, threshold: number): Scalar {
  return tf.tidy(() => {
    const constant = tf.customGrad((...inputs) => ({
      value: countedTargets(inputs[0] as Tensor2D, trusted, targets, threshold),
      gradFunc: (dy) => tf.zerosLike(dy),
    }));
    const target = constant(weak);
    // Rows that count sum to 1: their sum is their number.
    const count = tf.maximum(tf.round(tf.sum(target)), 1);
    return tf.div(tf.sum(tf.mul(target, tf.neg(tf.logSoftmax(strong, -1)))), count) as Scalar;
  });
}

/** Options of the objective; the defaults are the paper's, which README.md compares with others. */
export const ufmOptions = z.strictObject({
  exponent: z.number().positive().default(0.5),
  confidence: z.enum(["raw", "sharpened"]).default("sharpened"),
  /** ω at the first step. */
  omegaStart: z.number().min(0).max(1).default(0.9),
  /** ω towards which it rises; no step reaches it. */
  omegaEnd: z.number().min(0).max(1).default(1),
  /** Trusted images a class, at most. */
  perClass: z.int().min(0).default(MOST_PER_CLASS),
  /** "released": every image is trusted, with the class that the pre-trained model finds most probable, as the released code has it. */
  selection: z.enum(["balanced", "released"]).default("balanced"),
  /** Whether trusted images, too, must exceed ω. */
  thresholdTrusted: z.boolean().default(false),
});

export type UfmOptions = z.infer<typeof ufmOptions>;

/** Trusts every image, and draws a quarter of each batch from those that were selected. */
function releasedTrust(predictions: Predictions): TrustedSet {
  const { trusted, secondary } = releasedSelection(predictions);
  return { ...trusted, quarter: secondary };
}

/** Unsupervised FixMatch (aTLAS, section 4.4, after Sohn et al. 2020): the images that the model trusts teach it the others. */
export class UfmObjective implements UnsupervisedObjective {
  readonly id = "ufm";

  constructor(readonly head: ClassificationHead, readonly options: UfmOptions) {}

  /** ω rises linearly over the steps and stays below its end: the last step does not reject everything. */
  threshold({ step, steps }: Pick<StepContext, "step" | "steps">): number {
    const { omegaStart, omegaEnd } = this.options;
    return omegaStart + (omegaEnd - omegaStart) * (step / steps);
  }

  get trusts(): "current" | "initial" {
    return this.options.selection === "released" ? "initial" : "current";
  }

  trust(predictions: Predictions): TrustedSet {
    const { selection, perClass } = this.options;
    return selection === "released" ? releasedTrust(predictions) : trustedSet(predictions, trustedPerClass(predictions, perClass));
  }

  views({ weak, strong }: UnlabelledBatch): readonly View[] {
    return [{ ...weak, gradient: false }, strong];
  }

  loss([weak, strong]: readonly Tensor2D[], { trusted }: UnlabelledBatch, _parameters: NamedTensors, at: StepContext): Scalar {
    const [targets, predictions] = [headLogits(this.head, weak!), headLogits(this.head, strong!)];
    return ufmLoss(targets, predictions, trusted, this.options, this.threshold(at));
  }
}
