import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { ComposedEncoder } from "./backend.js";
import { headLogits, type ClassificationHead } from "./classification-head.js";
import { InputError, NonFiniteError } from "./errors.js";
import { encode } from "./loss-and-gradients.js";
import type { EncoderInputs, LabelledBatch } from "./objective.js";
import type { LabelledFeatures } from "./adapter.js";
import type { Predictions } from "./unsupervised-objective.js";

/** Top-1 accuracy and the count it rests on. */
export interface Accuracy {
  readonly correct: number;
  readonly total: number;
  /** correct / total, in [0, 1]. */
  readonly accuracy: number;
}

type Batches = Iterable<LabelledBatch> | AsyncIterable<LabelledBatch>;

/** An accuracy of features that are no numbers would look like one. */
function requireFinite(values: Float32Array, what: string): void {
  if (!values.every(Number.isFinite)) throw new NonFiniteError(`${what} of images became NaN or infinite`);
}

/**
 * Features of every image, in order. The encoder is composed once by the caller, not per batch.
 * @throws NonFiniteError
 */
export async function encodeAll(encoder: ComposedEncoder, batches: Batches, microBatch?: number): Promise<LabelledFeatures> {
  const parts: Float32Array[] = [];
  const labels: number[] = [];
  let width = 0;
  for await (const batch of batches) {
    const features = await encode(encoder, batch.images, microBatch);
    try {
      width = features.shape[1];
      parts.push(Float32Array.from(await features.data<"float32">()));
      requireFinite(parts.at(-1)!, "features");
    } finally {
      features.dispose();
    }
    for (const label of batch.labels) labels.push(label);
  }
  const features = new Float32Array(labels.length * width);
  let at = 0;
  for (const part of parts) {
    features.set(part, at);
    at += part.length;
  }
  return { features, width, labels: Int32Array.from(labels) };
}

/** The mean feature `[D]` of images, which stands for a data set beside another. @throws NonFiniteError, InputError without images. */
export async function meanFeature(
  encoder: ComposedEncoder,
  batches: AsyncIterable<{ readonly images: EncoderInputs }>,
): Promise<Float32Array> {
  let count = 0;
  let sums = new Float64Array(0);
  for await (const { images } of batches) {
    const features = await encode(encoder, images);
    try {
      const values = await features.data<"float32">();
      requireFinite(values, "features");
      if (count === 0) sums = new Float64Array(features.shape[1]);
      values.forEach((value, at) => {
        sums[at % sums.length]! += value;
      });
      count += features.shape[0];
    } finally {
      features.dispose();
    }
  }
  if (count === 0) throw new InputError({ where: "mean feature", got: "no images", expected: "at least one image" });
  return Float32Array.from(sums, (sum) => sum / count);
}

/** What the model says about every image by a zero-shot head, in order. @throws NonFiniteError */
export async function predictAll(
  encoder: ComposedEncoder,
  batches: AsyncIterable<{ readonly images: EncoderInputs }>,
  head: ClassificationHead,
): Promise<Predictions> {
  const classes = head.classNames.length;
  const parts: Float32Array[] = [];
  for await (const { images } of batches) {
    const features = await encode(encoder, images);
    const probabilities = tf.tidy(() => tf.softmax(headLogits(head, features)));
    try {
      parts.push(Float32Array.from(await probabilities.data<"float32">()));
      requireFinite(parts.at(-1)!, "predictions");
    } finally {
      tf.dispose([features, probabilities]);
    }
  }
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return { probabilities: all, classes };
}

/** The first largest entry of every row. @throws NonFiniteError for NaN, which no comparison finds: it would look like class 0 */
function largestOfRows(values: Float32Array, width: number): Int32Array {
  if (values.some(Number.isNaN)) throw new NonFiniteError("logits of images became NaN");
  return Int32Array.from({ length: values.length / width }, (_, row) => {
    let largest = row * width;
    for (let at = largest + 1; at < (row + 1) * width; at++) if (values[at]! > values[largest]!) largest = at;
    return largest - row * width;
  });
}

/** Rows classified at once: a classifier may compare each with thousands of keys, and a data set has many thousand rows. */
const ROWS_AT_ONCE = 1024;

/**
 * The class that a classifier finds most probable, for features that are at hand.
 * @param logits `(batch, C)` of features `(batch, D)`; called for a part of the rows at a time, inside `tf.tidy`.
 * @throws NonFiniteError where logits are NaN, InputError without images.
 */
export async function predictedLabels(data: LabelledFeatures, logits: (features: Tensor2D) => Tensor2D): Promise<Int32Array> {
  const total = data.labels.length;
  if (total === 0) throw new InputError({ where: "evaluation", got: "no images", expected: "at least one image" });
  const { features, width } = data;
  const predicted = new Int32Array(total);
  for (let from = 0; from < total; from += ROWS_AT_ONCE) {
    const to = Math.min(total, from + ROWS_AT_ONCE);
    const scores = tf.tidy(() => logits(tf.tensor2d(features.subarray(from * width, to * width), [to - from, width])));
    try {
      predicted.set(largestOfRows(await scores.data<"float32">(), scores.shape[1]), from);
    } finally {
      scores.dispose();
    }
  }
  return predicted;
}

/** Top-1 accuracy of a classifier on features that are at hand. */
export async function accuracyOf(data: LabelledFeatures, logits: (features: Tensor2D) => Tensor2D): Promise<Accuracy> {
  const predicted = await predictedLabels(data, logits);
  const total = predicted.length;
  const correct = data.labels.reduce((sum, label, row) => sum + (predicted[row] === label ? 1 : 0), 0);
  return { correct, total, accuracy: correct / total };
}

/** Top-1 accuracy of an encoder with a zero-shot head. */
export async function evaluate(encoder: ComposedEncoder, batches: Batches, head: ClassificationHead, microBatch?: number): Promise<Accuracy> {
  return accuracyOf(await encodeAll(encoder, batches, microBatch), (features) => headLogits(head, features));
}

/** How much of the range above chance a non-linear model gains over its linearisation (Ortiz-Jimenez et al. 2023). */
export function nonLinearAdvantage(nonLinear: number, linear: number, classes: number): number {
  return (nonLinear - linear) / (1 - 1 / classes);
}
