import type { Scalar, Tensor2D } from "@tensorflow/tfjs-core";
import type { NamedTensors } from "./composition.js";

/** Inputs of the encoder on the host: images `(batch, H, W, 3)` or token ids `(batch, T)`. */
export interface EncoderInputs {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** One pass through the composed encoder. `gradient: false` asks for features alone. */
export interface View extends EncoderInputs {
  readonly gradient?: boolean;
}

/** Images with labels, in the normalised range the encoder expects. */
export interface LabelledBatch {
  readonly images: EncoderInputs;
  /** One class index per image. */
  readonly labels: Int32Array;
}

/** Where in the run a step is; `step` / `steps` runs from 0 to below 1. */
export interface StepContext {
  /** 0-based. */
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
}

/** A tensor that an objective learns beside the coefficients, with an optimiser group of its own. */
export interface TrainableParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: Float32Array;
  /** Peak learning rate; default that of the coefficients. */
  readonly learningRate?: number;
  /** Default that of the coefficients. */
  readonly weightDecay?: number;
}

/**
 * What learning minimises. `views` says which inputs pass through the composed encoder, `loss` maps
 * their features to a scalar with ordinary tfjs ops. `loss` runs inside `tf.tidy`: nothing needs disposing.
 */
export interface Objective<B = LabelledBatch> {
  readonly id: string;
  readonly parameters?: readonly TrainableParameter[];
  views(batch: B): readonly View[];
  /**
   * @param features one `(batch, D)` tensor per view, not normalised.
   * @param parameters the current values of `parameters`, by name.
   */
  loss(features: readonly Tensor2D[], batch: B, parameters: NamedTensors, context: StepContext): Scalar;
}
