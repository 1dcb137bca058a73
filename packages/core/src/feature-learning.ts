import type { Scalar } from "@tensorflow/tfjs-core";
import { initAdamW, stepAdamW } from "./adamw.js";
import type { NamedArrays, NamedTensors } from "./composition.js";
import { AbortedError, NonFiniteError } from "./errors.js";
import { eventLoopTurns } from "./event-loop.js";
import { clipGradients } from "./gradient-clipping.js";
import { copyArrays } from "./learner-state.js";
import { lossAndGradients } from "./loss-and-gradients.js";
import type { TrainableParameter } from "./objective.js";
import { cosineSchedule } from "./schedule.js";

/** One step that was taken. */
export interface FeatureStep {
  /** 0-based. */
  readonly step: number;
  readonly loss: number;
  /** The cosine's factor on the peak rates. */
  readonly factor: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  /** After the step; the next one changes them. */
  readonly values: NamedArrays;
}

/** What is learned on frozen features, and how. */
export interface FeatureLearning {
  /** What is learned; each has a rate of its own. */
  readonly parameters: readonly (TrainableParameter & { readonly learningRate: number })[];
  /** The loss of a step; runs inside `tf.tidy`. */
  readonly loss: (parameters: NamedTensors, step: number) => Scalar;
  readonly steps: number;
  /** Named in errors: "Tip-Adapter". */
  readonly what: string;
  readonly signal?: AbortSignal;
  readonly onStep?: (step: FeatureStep) => void;
}

/** Joint norm that gradients are clipped at, as when coefficients are learned. */
const CLIP_NORM = 1;

/**
 * Learns the parameters of a classifier on frozen features, without an encoder: AdamW with clipped gradients, a cosine from the
 * peak rates to 0.
 * @throws AbortedError, NonFiniteError.
 */
export async function learnOnFeatures({ parameters, loss, steps, what, signal, onStep }: FeatureLearning): Promise<NamedArrays> {
  const owner = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  const values = copyArrays(Object.fromEntries(parameters.map(({ name, initial }) => [name, initial])));
  const schedule = cosineSchedule();
  const turn = eventLoopTurns();
  let state = initAdamW(values);
  for (let step = 0; step < steps; step++) {
    await turn();
    if (signal?.aborted === true) throw new AbortedError(`stopped while the ${what} was fitted`);
    const extra = Object.fromEntries(parameters.map(({ name, shape }) => [name, { values: values[name]!, shape }]));
    const result = await lossAndGradients([], (_features, tensors) => loss(tensors, step), extra);
    if (!Number.isFinite(result.loss)) throw new NonFiniteError(`${what}: the loss is ${result.loss} at step ${step + 1}. Try a lower learning rate.`);
    const gradientNorm = clipGradients(result.extra, CLIP_NORM);
    if (!Number.isFinite(gradientNorm)) throw new NonFiniteError(`${what}: the gradient's norm is ${gradientNorm} at step ${step + 1}. Try a lower learning rate.`);
    const factor = schedule(step, steps);
    state = stepAdamW(
      values,
      result.extra,
      state,
      (name) => factor * owner.get(name)!.learningRate,
      (name) => {
        const { weightDecay } = owner.get(name)!;
        return weightDecay === undefined ? {} : { weightDecay };
      },
    );
    onStep?.({ step, loss: result.loss, factor, gradientNorm, values });
  }
  return values;
}
