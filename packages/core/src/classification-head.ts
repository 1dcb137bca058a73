import * as tf from "@tensorflow/tfjs-core";
import type { Scalar, Tensor2D } from "@tensorflow/tfjs-core";
import { InputError } from "./errors.js";

/**
 * The frozen zero-shot classifier: logits = normalise(f) · Wᵀ.
 * Rows of W are unit text embeddings times exp(logit_scale).
 */
export interface ClassificationHead {
  readonly name: string;
  readonly classNames: readonly string[];
  /** C × D, row-major. */
  readonly weight: Float32Array;
  /** D */
  readonly width: number;
}

/** Checks sizes and finiteness once, so that every use may rely on them. */
export function classificationHead(head: ClassificationHead): ClassificationHead {
  const expected = head.classNames.length * head.width;
  if (head.weight.length !== expected) {
    throw new InputError({
      where: `head "${head.name}"`,
      got: `${head.weight.length} weights`,
      expected: `${head.classNames.length} classes × ${head.width} = ${expected}`,
    });
  }
  const bad = head.weight.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new InputError({ where: `head "${head.name}"`, got: `${head.weight[bad]} at ${bad}`, expected: "finite weights" });
  return head;
}

/** Rows divided by their Euclidean length, `(batch, D)` → `(batch, D)`. */
export function normaliseRows(features: Tensor2D): Tensor2D {
  return tf.tidy(() => tf.div(features, tf.sqrt(tf.sum(tf.square(features), 1, true))) as Tensor2D);
}

/** Logits `(batch, C)` of features `(batch, D)`; differentiable in the features. */
export function headLogits(head: ClassificationHead, features: Tensor2D): Tensor2D {
  return tf.tidy(() => {
    const weight = tf.tensor2d(head.weight, [head.classNames.length, head.width]);
    // Transposing first: a matMul with a transposed operand is many times slower on the wasm backend.
    return tf.matMul(normaliseRows(features), tf.transpose(weight) as Tensor2D) as Tensor2D;
  });
}

/** Mean cross-entropy of logits `(batch, C)` and class indices, with label smoothing in [0, 1). */
export function crossEntropy(logits: Tensor2D, labels: Int32Array, smoothing = 0): Scalar {
  return tf.tidy(() => {
    const [batch, classes] = logits.shape;
    const wrong = labels.findIndex((label) => label < 0 || label >= classes);
    if (labels.length !== batch || wrong >= 0) {
      throw new InputError({
        where: "crossEntropy labels",
        got: wrong >= 0 ? `label ${labels[wrong]} at ${wrong}` : `${labels.length} labels`,
        expected: `${batch} labels from 0 to ${classes - 1}`,
      });
    }
    const targets = new Float32Array(batch * classes).fill(smoothing / classes);
    labels.forEach((label, row) => { targets[row * classes + label]! += 1 - smoothing; });
    const picked = tf.mul(tf.tensor2d(targets, [batch, classes]), tf.logSoftmax(logits, -1));
    return tf.neg(tf.div(tf.sum(picked), batch)) as Scalar;
  });
}
