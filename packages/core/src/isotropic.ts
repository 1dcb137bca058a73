import type { Tensor1D } from "@tensorflow/tfjs-core";
import type { ScalarComposition } from "./composition.js";
import { innerProducts, weightedSum } from "./weighted-sum.js";

/** One coefficient per task vector, `coef [n]`: θ0 + Σ λᵢ τᵢ (paper, equation 3). Starts from 0. */
export function isotropic(): ScalarComposition {
  return {
    id: "isotropic",
    kind: "scalar",
    shapes: (_blocks, n) => ({ coef: [n] }),
    initial: (_blocks, n) => ({ coef: new Float32Array(n) }),
    compose: (_at, base, vectors, { coef }) => weightedSum(base, vectors, coef as Tensor1D),
    reduce: (_at, gradient, vectors) => ({ coef: innerProducts(gradient, vectors) }),
    weights: (_at, _n, { coef }) => Float32Array.from(coef!),
    accumulate(_at, n, weightGradients, { coef }) {
      for (let i = 0; i < n; i++) coef![i]! += weightGradients[i]!;
    },
  };
}
