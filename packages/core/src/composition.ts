import type { Tensor } from "@tensorflow/tfjs-core";
import type { BlockSpec } from "./encoder-spec.js";
import type { HostTensor, NamedHostTensors } from "./state-dict.js";

/** Coefficients, or their gradients, by name: a few kilobytes, held on the host whatever the backend. */
export type NamedArrays = Readonly<Record<string, Float32Array>>;

export type NamedTensors = Readonly<Record<string, Tensor>>;

/** A block and its position among the blocks of the encoder. */
export interface IndexedBlock {
  readonly block: BlockSpec;
  /** Column j of the coefficients. */
  readonly index: number;
  /** m, the number of blocks. */
  readonly count: number;
}

interface CompositionRules {
  readonly id: string;
  /** Shapes of the coefficient tensors for n task vectors. */
  shapes(blocks: readonly BlockSpec[], n: number): Record<string, number[]>;
  /** The values learning starts from; a composition of zeros is the pre-trained model. */
  initial(blocks: readonly BlockSpec[], n: number, base: NamedHostTensors): NamedArrays;
  /**
   * The composed block: `base` and every vector have the block's shape; `coefficients` are as `shapes` says.
   * Pure; returns one new tensor of the block's shape.
   */
  compose(at: IndexedBlock, base: Tensor, vectors: readonly Tensor[], coefficients: NamedTensors): Tensor;
  /**
   * The adjoint of `compose` in the coefficients: given dL/d(composed block), what this block adds to
   * dL/d(coefficient) of each coefficient tensor it touches.
   */
  reduce(at: IndexedBlock, gradient: Tensor, vectors: readonly Tensor[], coefficients: NamedTensors): NamedTensors;
}

/**
 * Every block is θ0 + Σ wᵢ τᵢ with a scalar wᵢ (isotropic, blockwise). Backends use the two extra
 * members to scale and reduce task vectors without materialising them.
 */
export interface ScalarComposition extends CompositionRules {
  readonly kind: "scalar";
  /** The n weights of a block. */
  weights(at: IndexedBlock, n: number, coefficients: NamedArrays): Float32Array;
  /** Adds dL/dw of a block (length n) to the gradients. */
  accumulate(at: IndexedBlock, n: number, weightGradients: Float32Array, gradients: NamedArrays): void;
}

/** The coefficients are the blocks themselves, by block name: fine-tuning and pre-training. */
export interface DenseComposition extends CompositionRules {
  readonly kind: "dense";
}

/** The rules of a composition on host memory: nothing is uploaded, and task vectors stay as they are stored. */
export interface HostRules {
  /**
   * Writes θ − θ0 of a block into zeros of its size.
   * @param vectors the block of each task vector; undefined where it is zero.
   */
  difference(at: IndexedBlock, vectors: readonly (HostTensor | undefined)[], coefficients: NamedArrays, into: Float32Array): void;
  /** Adds what a block contributes to dL/d(coefficients), given dL/d(composed block), to `gradients`. */
  reduce(at: IndexedBlock, gradient: Float32Array, vectors: readonly (HostTensor | undefined)[], gradients: NamedArrays): void;
}

/** Any other rule: partitions, low rank, your own. */
export interface GeneralComposition extends CompositionRules {
  readonly kind: "general";
  /** The same rules for backends that compose on the host, which otherwise pay for a copy of every vector. */
  readonly host?: HostRules;
}

/** How coefficients and task vectors make a model (paper, equations 3 to 5). */
export type Composition = ScalarComposition | DenseComposition | GeneralComposition;

/** What a composition of a plug-in may depend on. */
export interface CompositionContext {
  /** Of whatever it draws at random; saved as `mask_seed`, so that a result can be applied again. */
  readonly seed: number | string;
  /** Options of the plug-in, already checked against its schema. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Registered under `TOKENS.composition`. */
export interface CompositionFactory {
  readonly id: string;
  create(context: CompositionContext): Composition;
}

/** Zero arrays with the sizes of `like`. */
export function zerosLike(like: NamedArrays): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(like).map(([name, values]) => [name, new Float32Array(values.length)]));
}
