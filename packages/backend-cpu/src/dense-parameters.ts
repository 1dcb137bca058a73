import { widen, zerosLike, type BlockSpec, type NamedArrays, type NamedHostTensors } from "@atlas-tv/core";
import type { ComposedParameters, GradientCollector } from "./composed-parameters.js";

/** Coefficients that are the blocks themselves: used where they are, not copied. With a base, their differences from it. */
export class DenseParameters implements ComposedParameters {
  readonly values: ReadonlyMap<string, Float32Array>;

  constructor(readonly coefficients: NamedArrays, blocks: readonly BlockSpec[], base: NamedHostTensors | null = null) {
    this.values = new Map(blocks.filter(({ kind }) => kind !== "leftover").map(({ name }) => {
      const own = coefficients[name]!;
      if (base === null) return [name, own];
      const from = widen(base.get(name)!);
      return [name, own.map((value, i) => value - from[i]!)];
    }));
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
