import { zerosLike, type BlockSpec, type NamedArrays } from "@atlas-tv/core";
import type { ComposedParameters, GradientCollector } from "./composed-parameters.js";

/** Coefficients that are the blocks themselves: used where they are, not copied. */
export class DenseParameters implements ComposedParameters {
  readonly values: ReadonlyMap<string, Float32Array>;

  constructor(readonly coefficients: NamedArrays, blocks: readonly BlockSpec[]) {
    this.values = new Map(blocks.filter(({ kind }) => kind !== "leftover").map(({ name }) => [name, coefficients[name]!]));
  }

  collect(): GradientCollector {
    const gradients = zerosLike(this.coefficients);
    return {
      buffer: (block) => gradients[block]!,
      take: () => Promise.resolve(),
      finish: () => gradients,
    };
  }

  dispose(): void {
    // Nothing is held: the arrays are the caller's.
  }
}
