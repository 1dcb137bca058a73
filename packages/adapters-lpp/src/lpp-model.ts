import {
  InputError, linear, normaliseRows, savedTensor,
  type ClassificationHead, type HostTensor, type NamedArrays, type NamedHostTensors, type NamedTensors,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";

/** What LP++ learns: `weight` C × D, `bias` C, and `alpha` C, the blend of the text embeddings. */
export interface LppParameters {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly alpha: Float32Array;
}

/** Shapes of the parameters, by name. */
export function lppShapes({ classNames, width }: ClassificationHead): Record<keyof LppParameters, number[]> {
  const classes = classNames.length;
  return { weight: [classes, width], bias: [classes], alpha: [classes] };
}

/** The head's rows at unit length, C × D, and their common length exp(logit_scale). @throws InputError for a row of zeros. */
export function textEmbeddings({ name, weight, width }: ClassificationHead): { readonly unit: Float32Array; readonly scale: number } {
  const classes = weight.length / width;
  const unit = new Float32Array(weight.length);
  let sum = 0;
  for (let c = 0; c < classes; c++) {
    const row = weight.subarray(c * width, (c + 1) * width);
    const length = Math.hypot(...row);
    if (length === 0) throw new InputError({ where: `row ${c} of head "${name}"`, got: "zeros", expected: "a text embedding" });
    row.forEach((value, i) => { unit[c * width + i] = value / length; });
    sum += length;
  }
  return { unit, scale: sum / classes };
}

/**
 * Logits `(batch, C)`: f · (w_c + α_c t_c) + b_c (Huang et al. 2024, equation 3, with their code's bias).
 * @param unit features `(batch, D)` of unit length; @param text their logits `(batch, C)` with unit text embeddings.
 */
export function lppLogits(unit: Tensor2D, text: Tensor2D, { weight, bias, alpha }: NamedTensors): Tensor2D {
  return tf.add(linear(unit, weight!, bias!), tf.mul(text, tf.reshape(alpha!, [1, -1]))) as Tensor2D;
}

/** Logits of features `(batch, D)`, not normalised. */
export function classify(head: ClassificationHead, parameters: LppParameters, features: Tensor2D): Tensor2D {
  return tf.tidy(() => {
    const shapes = lppShapes(head);
    const tensors = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, tf.tensor(parameters[name as keyof LppParameters], shape)]));
    const unit = normaliseRows(features);
    const text = tf.transpose(tf.tensor2d(textEmbeddings(head).unit, shapes.weight as [number, number]));
    return lppLogits(unit, tf.matMul(unit, text) as Tensor2D, tensors);
  });
}

/** The parameters as tensors for a run folder, each float32 under its name. */
export function savedParameters(head: ClassificationHead, parameters: LppParameters): NamedHostTensors {
  return new Map(Object.entries(lppShapes(head)).map(([name, shape]): [string, HostTensor] => {
    return [name, { dtype: "F32", shape, data: parameters[name as keyof LppParameters] }];
  }));
}

/** @throws InputError when tensors are missing or shaped for another head. */
export function restoredParameters(state: NamedHostTensors, head: ClassificationHead): LppParameters {
  const entries = Object.entries(lppShapes(head)).map(([name, shape]) => [name, savedTensor(state, name, shape, "saved LP++").data] as const);
  return Object.fromEntries(entries) as Readonly<Record<keyof LppParameters, Float32Array>> & NamedArrays;
}
