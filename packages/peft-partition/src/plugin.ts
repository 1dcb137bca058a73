import { blockwise, Random, TOKENS, type CompositionFactory, type Plugin, type ScalarComposition } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { z } from "zod";
import { blockMasks, MOST_PARTS, releasedMasks } from "./partition-masks.js";
import { partition } from "./partition.js";

const options = z.strictObject({
  /** K */
  parts: z.int().min(1).max(MOST_PARTS),
  /** "released": masks shared by shape and matrices alone, as the released code has it. */
  masks: z.enum(["block", "released"]).default("block"),
});

/** With one part it is the blockwise composition, to the bit and on the path that a backend has for it. */
function whole(): ScalarComposition {
  const rules = blockwise();
  return {
    ...rules,
    id: "partition",
    shapes: (blocks, n) => ({ coef: [n, blocks.length, 1] }),
    compose: (at, base, vectors, { coef }) => tf.tidy(() => rules.compose(at, base, vectors, { coef: tf.squeeze(coef!, [2]) })),
    reduce: (at, gradient, vectors, coefficients) => ({
      coef: tf.tidy(() => tf.expandDims(rules.reduce(at, gradient, vectors, coefficients)["coef"]!, 2)),
    }),
  };
}

const factory: CompositionFactory = {
  id: "partition",
  create({ options: given, seed }) {
    const { parts, masks } = options.parse(given);
    const random = new Random(seed).fork("partition");
    if (masks === "released") return partition(releasedMasks(parts, random));
    return parts === 1 ? whole() : partition(blockMasks(parts, random));
  },
};

/** Registers aTLAS ×K under `TOKENS.composition`. */
export const plugin: Plugin = {
  id: "partition",
  kind: "composition",
  options,
  presets: { released: { masks: "released" } },
  register: (container) => {
    container.register(TOKENS.composition, { useValue: factory });
  },
};
