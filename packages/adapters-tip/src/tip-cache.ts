import {
  headLogits, InputError, matrixProduct, normaliseRows, savedTensor, unitRows,
  type ClassificationHead, type HostTensor, type LabelledFeatures, type NamedHostTensors,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";

/** What is learned. */
export interface TipParameters {
  /** N × D, one key a shot. */
  readonly keys: Float32Array;
  /** (β, α): how sharp the affinity is, and what the cache weighs beside the head. */
  readonly betaAlpha: Float32Array;
}

/** A cache of labelled shots. */
export interface TipCache extends TipParameters {
  /** Class of each key. */
  readonly labels: Int32Array;
}

/** (β, α) where learning starts (paper, section 4.3). */
const START = [1, 2] as const;

/** The cache before any learning: the shots' unit features as keys. */
export function initialCache(shots: LabelledFeatures): TipCache {
  return { keys: unitRows(shots), betaAlpha: Float32Array.from(START), labels: shots.labels };
}

/** The cache's values `(N, C)`: one-hot labels. The caller disposes them. */
export function cacheValues(labels: Int32Array, classes: number): Tensor2D {
  const values = new Float32Array(labels.length * classes);
  labels.forEach((label, row) => { values[row * classes + label] = 1; });
  return tf.tensor2d(values, [labels.length, classes]);
}

/**
 * Logits `(batch, C)` of features `(batch, D)`, not normalised: those of the head plus
 * α · exp(−β (1 − f · keysᵀ)) · values (Zhang et al. 2022, equations 5 and 6), f of unit length.
 * @param keys `(N, D)`, @param betaAlpha `(2)`, @param values `(N, C)`.
 */
export function tipLogits(head: ClassificationHead, features: Tensor2D, keys: Tensor, betaAlpha: Tensor, values: Tensor2D): Tensor2D {
  return tf.tidy(() => {
    const [beta, alpha] = [0, 1].map((at) => tf.reshape(tf.slice1d(betaAlpha as Tensor1D, at, 1), [])) as [Tensor, Tensor];
    const affinity = matrixProduct(normaliseRows(features), tf.transpose(keys));
    const weights = tf.exp(tf.neg(tf.sub(beta, tf.mul(beta, affinity))));
    return tf.add(headLogits(head, features), tf.mul(alpha, matrixProduct(weights, values))) as Tensor2D;
  });
}

/** The cache as tensors for a run folder. Labels are whole numbers below 2²⁴, which float32 holds exactly. */
export function savedCache({ keys, betaAlpha, labels }: TipCache): NamedHostTensors {
  return new Map<string, HostTensor>([
    ["keys", { dtype: "F32", shape: [labels.length, keys.length / labels.length], data: keys }],
    ["beta_alpha", { dtype: "F32", shape: [2], data: betaAlpha }],
    ["labels", { dtype: "F32", shape: [labels.length], data: Float32Array.from(labels) }],
  ]);
}

/** @throws InputError when tensors are missing or shaped for another head, or a label has no class. */
export function restoredCache(state: NamedHostTensors, head: ClassificationHead): TipCache {
  const where = "saved Tip-Adapter";
  const keys = savedTensor(state, "keys", [null, head.width], where);
  const labels = savedTensor(state, "labels", [keys.shape[0]!], where).data;
  const wrong = labels.find((label) => !Number.isInteger(label) || label < 0 || label >= head.classNames.length);
  if (wrong !== undefined) {
    throw new InputError({ where: `${where}, tensor "labels"`, got: String(wrong), expected: `whole numbers from 0 to ${head.classNames.length - 1}` });
  }
  return { keys: keys.data, betaAlpha: savedTensor(state, "beta_alpha", [2], where).data, labels: Int32Array.from(labels) };
}
