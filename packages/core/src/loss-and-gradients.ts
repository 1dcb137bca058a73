import * as tf from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { ComposedEncoder, ForwardPass } from "./backend.js";
import type { NamedArrays, NamedTensors } from "./composition.js";
import { InputError } from "./errors.js";
import { registerGradients } from "./gradients.js";
import type { EncoderInputs, View } from "./objective.js";

/** One pass of a loss: inputs through an encoder. */
export interface Term extends View {
  readonly encoder: ComposedEncoder;
}

/** A tensor the loss reads and that is differentiated beside the features. */
export interface ExtraParameter {
  readonly values: Float32Array;
  readonly shape: readonly number[];
}

/** The value of a loss and its derivatives, on the host. */
export interface LossAndGradients {
  readonly loss: number;
  /** dL/d(coefficients) of each distinct encoder among the terms that ask for a gradient. */
  readonly encoders: ReadonlyMap<ComposedEncoder, NamedArrays>;
  /** dL/d(extra) by name. */
  readonly extra: NamedArrays;
}

/** How much of a loss is computed at once. */
export interface LossOptions {
  /**
   * Rows kept in flight at once. A larger term is computed in parts: features of all parts first, the loss on
   * all of them, then forward and backward part by part. The gradient is the same; memory is that of one part.
   */
  readonly microBatch?: number;
}

function requireMicroBatch(rowsAtOnce: number): void {
  if (rowsAtOnce === Infinity || (Number.isInteger(rowsAtOnce) && rowsAtOnce >= 1)) return;
  throw new InputError({ where: "microBatch", got: String(rowsAtOnce), expected: "a positive number of rows" });
}

/** Inputs as a tensor; the caller disposes it. */
export function inputTensor(inputs: EncoderInputs): Tensor {
  return tf.tensor(inputs.data, [...inputs.shape], "float32");
}

/** Rows `from` to `to` of inputs, sharing their memory. */
function rows(inputs: EncoderInputs, from: number, to: number): EncoderInputs {
  const [batch = 0, ...rest] = inputs.shape;
  const stride = inputs.data.length / batch;
  return { data: inputs.data.subarray(from * stride, to * stride), shape: [to - from, ...rest] };
}

async function withInputs<T>(inputs: EncoderInputs, use: (tensor: Tensor) => Promise<T>): Promise<T> {
  const tensor = inputTensor(inputs);
  try {
    return await use(tensor);
  } finally {
    tensor.dispose();
  }
}

/**
 * Features `(batch, D)` of any number of inputs, at most `microBatch` rows at a time.
 * @returns a tensor that the caller disposes.
 */
export async function encode(encoder: ComposedEncoder, inputs: EncoderInputs, microBatch = Infinity): Promise<Tensor2D> {
  requireMicroBatch(microBatch);
  const batch = inputs.shape[0]!;
  const parts: Tensor2D[] = [];
  try {
    for (let from = 0; from < batch; from += microBatch) {
      const part = rows(inputs, from, Math.min(batch, from + microBatch));
      parts.push(await withInputs(part, (tensor) => encoder.features(tensor)));
    }
    return parts.length === 1 ? parts[0]!.clone() : (tf.concat(parts, 0) as Tensor2D);
  } finally {
    parts.forEach((part) => part.dispose());
  }
}

function addInto(sums: Map<ComposedEncoder, Record<string, Float32Array>>, encoder: ComposedEncoder, gradients: NamedArrays): void {
  const own = sums.get(encoder);
  if (own === undefined) {
    sums.set(encoder, { ...gradients });
    return;
  }
  for (const [name, values] of Object.entries(gradients)) {
    const sum = own[name];
    if (sum === undefined) own[name] = values;
    else values.forEach((value, i) => { sum[i]! += value; });
  }
}

/** A term on its way through the loss: whole, with its forward pass kept, or in parts. */
interface Running {
  readonly term: Term;
  readonly features: Tensor2D;
  readonly pass: ForwardPass | null;
}

async function start(term: Term, microBatch: number): Promise<Running> {
  const gradient = term.gradient ?? true;
  if (gradient && term.shape[0]! <= microBatch) {
    const pass = await withInputs(term, (tensor) => term.encoder.forward(tensor));
    return { term, features: pass.features, pass };
  }
  return { term, features: await encode(term.encoder, term, microBatch), pass: null };
}

async function backward({ term, pass }: Running, featureGradients: Tensor2D, microBatch: number, sums: Map<ComposedEncoder, Record<string, Float32Array>>): Promise<void> {
  if (pass !== null) {
    addInto(sums, term.encoder, await pass.backward(featureGradients));
    return;
  }
  const [batch, width] = featureGradients.shape;
  for (let from = 0; from < batch; from += microBatch) {
    const to = Math.min(batch, from + microBatch);
    const part = await withInputs(rows(term, from, to), (tensor) => term.encoder.forward(tensor));
    const slice = tf.slice2d(featureGradients, [from, 0], [to - from, width]);
    try {
      addInto(sums, term.encoder, await part.backward(slice));
    } finally {
      slice.dispose();
      part.dispose();
    }
  }
}

/**
 * The value of a loss on the features of one or several terms, and its derivatives in the coefficients of every
 * encoder and in the extra tensors. Works on any backend; encoders may differ (contrastive pre-training).
 * @param loss maps one `(batch, D)` tensor per term, and the extra tensors, to a scalar; runs inside `tf.tidy`.
 */
export async function lossAndGradients(
  terms: readonly Term[],
  loss: (features: Tensor2D[], extra: NamedTensors) => Scalar,
  extra: Readonly<Record<string, ExtraParameter>> = {},
  options: LossOptions = {},
): Promise<LossAndGradients> {
  registerGradients();
  const microBatch = options.microBatch ?? Infinity;
  requireMicroBatch(microBatch);
  const names = Object.keys(extra);
  const running: Running[] = [];
  const owned: Tensor[] = [];
  try {
    for (const term of terms) running.push(await start(term, microBatch));
    const differentiated = running.filter(({ term }) => term.gradient ?? true);
    const extraTensors = names.map((name) => tf.tensor(extra[name]!.values, [...extra[name]!.shape], "float32"));
    owned.push(...extraTensors);

    const value = (...inputs: Tensor[]): Scalar => {
      let next = 0;
      const features = running.map(({ term, features: own }) => ((term.gradient ?? true) ? inputs[next++]! : own) as Tensor2D);
      const tensors = Object.fromEntries(names.map((name) => [name, inputs[next++]!]));
      return loss(features, tensors);
    };
    const inputs = [...differentiated.map(({ features }) => features as Tensor), ...extraTensors];
    if (inputs.length === 0) throw new InputError({ where: "lossAndGradients", got: "no term with a gradient and no extra tensor", expected: "something to differentiate" });
    const result = tf.valueAndGrads(value as (...args: Tensor[]) => Scalar)(inputs);
    owned.push(result.value, ...result.grads);

    const sums = new Map<ComposedEncoder, Record<string, Float32Array>>();
    for (const [index, item] of differentiated.entries()) {
      await backward(item, result.grads[index] as Tensor2D, microBatch, sums);
    }
    const extraGradients: Record<string, Float32Array> = {};
    for (const [index, name] of names.entries()) {
      extraGradients[name] = Float32Array.from(await result.grads[differentiated.length + index]!.data<"float32">());
    }
    return { loss: (await result.value.data<"float32">())[0]!, encoders: sums, extra: extraGradients };
  } finally {
    owned.forEach((tensor) => tensor.dispose());
    for (const { pass, features } of running) {
      if (pass === null) features.dispose();
      else pass.dispose();
    }
  }
}
