import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D } from "@tensorflow/tfjs-core";

/** base + Σ wᵢ τᵢ, summed from the first vector to the last. `weights` is `[n]`; all else has one shape. */
export function weightedSum(base: Tensor, vectors: readonly Tensor[], weights: Tensor1D): Tensor {
  return tf.tidy(() => {
    if (vectors.length === 0) return base.clone();
    const scaled = vectors.map((vector, i) => tf.mul(vector, tf.reshape(tf.slice1d(weights, i, 1), [])));
    return tf.add(base, scaled.reduce((sum, term) => tf.add(sum, term)));
  });
}

/** ⟨gradient, τᵢ⟩ for every vector, `[n]`: the adjoint of `weightedSum` in the weights. */
export function innerProducts(gradient: Tensor, vectors: readonly Tensor[]): Tensor1D {
  return tf.tidy(() => {
    if (vectors.length === 0) return tf.tensor1d([], "float32");
    return tf.stack(vectors.map((vector) => tf.sum(tf.mul(gradient, vector)))) as Tensor1D;
  });
}
