import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { ClassificationHead } from "./classification-head.js";
import type { NamedArrays } from "./composition.js";
import type { LabelledBatch, Objective } from "./objective.js";
import type { Random } from "./random.js";
import type { NamedHostTensors } from "./state-dict.js";

/** Features of the labelled shots: rows are not repeated and not augmented unless the caller did so. */
export interface LabelledFeatures {
  /** rows × D, row-major, not normalised. */
  readonly features: Float32Array;
  readonly width: number;
  readonly labels: Int32Array;
}

/** What an adapter is fitted with. */
export interface AdapterContext {
  readonly head: ClassificationHead;
  readonly shots: LabelledFeatures;
  /** Options of the plug-in, already checked against its schema. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly random: Random;
  readonly signal?: AbortSignal;
  readonly onProgress?: (step: number, steps: number, loss: number) => void;
}

/** A classifier on features that was fitted to the shots. */
export interface FittedAdapter {
  /** Logits `(batch, C)` of features `(batch, D)`, not normalised. */
  logits(features: Tensor2D): Tensor2D;
  /** Everything needed to restore it, for the run folder. */
  state(): NamedHostTensors;
}

/** An adapter whose parameters are learned beside the coefficients. */
export interface JointAdapter {
  readonly objective: Objective<LabelledBatch>;
  /** The classifier that learned values of the objective's parameters make. */
  fitted(parameters: NamedArrays): FittedAdapter;
}

/** Registered under `TOKENS.adapter`. */
export interface AdapterFactory {
  readonly id: string;
  /** Fits on frozen features (sequential use, and baselines). */
  fit(context: AdapterContext): Promise<FittedAdapter>;
  /** The classifier whose `state()` this is. @throws InputError when it is none, or belongs to another head. */
  restore(state: NamedHostTensors, head: ClassificationHead): FittedAdapter;
  /**
   * The adapter learned together with the coefficients, its context's shots encoded by the model that learning starts
   * from; absent where its paper has no such mode.
   */
  joint?(context: AdapterContext): JointAdapter;
}
