import type { NamedArrays } from "@atlas-tv/core";

/** Values of blocks, by name. */
export type BlockValues = ReadonlyMap<string, Float32Array>;

/** The blocks of one composed model, and the way from their gradients to those of the coefficients. */
export interface ComposedParameters {
  /** Composed values by block name; leftover blocks are absent. */
  readonly values: BlockValues;
  /** Starts collecting gradients of one backward pass. */
  collect(): GradientCollector;
  dispose(): void;
}

/** Takes the gradients of blocks, a few at a time, so that they need not be held all at once. */
export interface GradientCollector {
  /** Where the gradient of a block is to be written, all of it. */
  buffer(block: string): Float32Array;
  /** The gradients of these blocks are written. Their buffers must not be used any more. */
  take(blocks: readonly string[]): Promise<void>;
  /** dL/d(coefficients), once every block has been taken; the caller owns the arrays. */
  finish(): NamedArrays;
}
