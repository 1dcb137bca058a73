import * as tf from "@tensorflow/tfjs-core";
import type { Scalar, Tensor2D } from "@tensorflow/tfjs-core";
import {
  clipGradients, copyArrays, cosineSchedule, dense, initialState, lossAndGradients, normaliseRows, randomParameters, snapshot, stepAdamW,
  type Backend, type EncoderInputs, type HostTensor, type ImageEncoderSpec, type LearnerState, type NamedArrays, type NamedHostTensors,
  type Random, type TextTransformerSpec,
} from "@atlas-tv/core";

/** One batch of images and their captions. */
export interface PretrainingBatch {
  readonly images: EncoderInputs;
  readonly tokens: EncoderInputs;
  /** batch × batch, row-major; 1 where image i and caption j belong together. */
  readonly positives: Float32Array;
}

export interface PretrainingOptions {
  readonly steps: number;
  readonly warmup: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Starting value of log(logit scale). */
  readonly logScale: number;
  readonly saveEvery: number;
}

export interface Pretrained {
  readonly image: NamedHostTensors;
  readonly text: NamedHostTensors;
  readonly logScale: number;
}

const LOG_SCALE = "logit_scale";

/** Upper bound of the logit scale, as in CLIP. */
const LARGEST_LOG_SCALE = Math.log(100);

/**
 * Symmetric contrastive loss with several positives a row: cross-entropy against the positives' uniform
 * distribution, images to captions and captions to images.
 */
function contrastiveLoss(image: Tensor2D, text: Tensor2D, logScale: tf.Tensor, positives: Float32Array): Scalar {
  const batch = image.shape[0];
  const logits = tf.mul(tf.matMul(normaliseRows(image), tf.transpose(normaliseRows(text)) as Tensor2D), tf.exp(logScale)) as Tensor2D;
  const relation = tf.tensor2d(positives, [batch, batch]);
  const direction = (scores: Tensor2D, positive: Tensor2D): Scalar => {
    const targets = tf.div(positive, tf.sum(positive, 1, true));
    return tf.neg(tf.div(tf.sum(tf.mul(targets, tf.logSoftmax(scores, -1))), batch)) as Scalar;
  };
  const toText = direction(logits, relation);
  const toImage = direction(tf.transpose(logits) as Tensor2D, tf.transpose(relation) as Tensor2D);
  return tf.mul(tf.add(toText, toImage), 0.5) as Scalar;
}

function asArrays(tensors: NamedHostTensors, prefix: string): Record<string, Float32Array> {
  const arrays: Record<string, Float32Array> = {};
  for (const [name, { data }] of tensors) if (data instanceof Float32Array) arrays[prefix + name] = data.slice();
  return arrays;
}

function withPrefix(arrays: NamedArrays, prefix: string): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(arrays).map(([name, values]) => [prefix + name, values]));
}

function withoutPrefix(arrays: NamedArrays, prefix: string): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(arrays).filter(([name]) => name.startsWith(prefix)).map(([name, values]) => [name.slice(prefix.length), values]));
}

function asTensors(shapesOf: NamedHostTensors, arrays: NamedArrays): NamedHostTensors {
  return new Map([...shapesOf].map(([name, { shape }]): [string, HostTensor] => [name, { dtype: "F32", shape, data: arrays[name]! }]));
}

/** Pre-trains both towers of a CLIP from random parameters. Continues from `resume`; `save` gets a state now and then. */
export async function pretrain(
  backend: Backend,
  specs: { image: ImageEncoderSpec; text: TextTransformerSpec },
  batchAt: (step: number) => PretrainingBatch | Promise<PretrainingBatch>,
  options: PretrainingOptions,
  random: Random,
  hooks: {
    resume?: LearnerState;
    save?: (state: LearnerState) => Promise<void>;
    onStep?: (step: number, loss: number, scale: number) => void;
  } = {},
): Promise<Pretrained> {
  const imageStart = randomParameters(specs.image, random.fork("image"));
  const textStart = randomParameters(specs.text, random.fork("text"));
  let state = hooks.resume === undefined
    ? initialState({ ...asArrays(imageStart, "image/"), ...asArrays(textStart, "text/"), [LOG_SCALE]: Float32Array.of(options.logScale) })
    : snapshot(hooks.resume);
  const isMatrix = new Map<string, boolean>([
    ...[...imageStart].map(([name, { shape }]): [string, boolean] => [`image/${name}`, shape.length >= 2]),
    ...[...textStart].map(([name, { shape }]): [string, boolean] => [`text/${name}`, shape.length >= 2]),
  ]);
  const image = await backend.compile(specs.image, imageStart, [], dense());
  const text = await backend.compile(specs.text, textStart, [], dense());
  const schedule = cosineSchedule(options.warmup);
  try {
    for (let step = state.step; step < options.steps; step++) {
      const batch = await batchAt(step);
      const images = await image.compose(withoutPrefix(state.values, "image/"));
      const texts = await text.compose(withoutPrefix(state.values, "text/"));
      const result = await lossAndGradients(
        [{ ...batch.images, encoder: images }, { ...batch.tokens, encoder: texts }],
        ([imageFeatures, textFeatures], extra) => contrastiveLoss(imageFeatures!, textFeatures!, extra[LOG_SCALE]!, batch.positives),
        { [LOG_SCALE]: { values: state.values[LOG_SCALE]!, shape: [1] } },
      );
      const gradients = copyArrays({
        ...withPrefix(result.encoders.get(images)!, "image/"),
        ...withPrefix(result.encoders.get(texts)!, "text/"),
        ...result.extra,
      });
      images.dispose();
      texts.dispose();
      if (!Number.isFinite(result.loss)) throw new Error(`pre-training: the loss is ${result.loss} at step ${step + 1}`);
      clipGradients(gradients, 1);
      const optimiser = stepAdamW(state.values, gradients, state.optimiser, options.learningRate * schedule(step, options.steps), (name) => ({
        beta2: 0.98,
        weightDecay: isMatrix.get(name) === true ? options.weightDecay : 0,
      }));
      const scale = state.values[LOG_SCALE]!;
      scale[0] = Math.min(scale[0]!, LARGEST_LOG_SCALE);
      state = { ...state, step: step + 1, optimiser };
      hooks.onStep?.(step + 1, result.loss, Math.exp(scale[0]!));
      if ((step + 1) % options.saveEvery === 0) await hooks.save?.(snapshot(state));
    }
  } finally {
    image.dispose();
    text.dispose();
  }
  return {
    image: asTensors(imageStart, withoutPrefix(state.values, "image/")),
    text: asTensors(textStart, withoutPrefix(state.values, "text/")),
    logScale: state.values[LOG_SCALE]![0]!,
  };
}
