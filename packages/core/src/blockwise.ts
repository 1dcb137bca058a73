import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { IndexedBlock, ScalarComposition } from "./composition.js";
import { innerProducts, weightedSum } from "./weighted-sum.js";

/** Column j of coefficients `[n, m]`, as `[n]`. */
function column({ index }: IndexedBlock, coef: Tensor2D): Tensor1D {
  return tf.reshape(tf.slice2d(coef, [0, index], [-1, 1]), [-1]) as Tensor1D;
}

/**
 * One coefficient per task vector and block, `coef [n, m]`: block j is θ0(j) + Σ λ[i, j] τᵢ(j)
 * (anisotropic scaling; paper, equation 5). Starts from 0.
 */
export function blockwise(): ScalarComposition {
  return {
    id: "blockwise",
    kind: "scalar",
    shapes: (blocks, n) => ({ coef: [n, blocks.length] }),
    initial: (blocks, n) => ({ coef: new Float32Array(n * blocks.length) }),
    compose: (at, base, vectors, { coef }) => tf.tidy(() => {
      return weightedSum(base, vectors, vectors.length === 0 ? tf.tensor1d([]) : column(at, coef as Tensor2D));
    }),
    reduce: (at, gradient, vectors) => ({
      coef: tf.tidy(() => {
        if (vectors.length === 0) return tf.tensor2d([], [0, at.count]);
        const own = tf.reshape(innerProducts(gradient, vectors), [vectors.length, 1]);
        return tf.pad(own, [[0, 0], [at.index, at.count - 1 - at.index]]);
      }),
    }),
    weights: ({ index, count }, n, { coef }) => Float32Array.from({ length: n }, (_, i) => coef![i * count + index]!),
    accumulate({ index, count }, n, weightGradients, { coef }) {
      for (let i = 0; i < n; i++) coef![i * count + index]! += weightGradients[i]!;
    },
  };
}
