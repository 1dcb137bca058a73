import {
  blockOf, sizeOf, widen,
  type BlockSpec, type BlockStore, type HostTensor, type IndexedBlock, type ResidentBase, type TaskVector,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import { HalfMatrix } from "./half-matrix.js";

type KeptMatrix = HalfMatrix | Tensor2D;

const isHalf = (matrix: KeptMatrix): matrix is HalfMatrix => matrix instanceof HalfMatrix;

/** The vectors of one block as rows, half floats where all of them are; a vector that is absent counts as zero. */
function keptMatrix(vectors: readonly (HostTensor | undefined)[], size: number): KeptMatrix {
  const rows = vectors.length;
  if (vectors.every((vector) => vector === undefined || vector.dtype === "F16")) {
    const halves = new Uint16Array(rows * size);
    vectors.forEach((vector, i) => { if (vector !== undefined) halves.set(vector.data, i * size); });
    return new HalfMatrix(halves, rows, size);
  }
  const floats = new Float32Array(rows * size);
  vectors.forEach((vector, i) => { if (vector !== undefined) floats.set(widen(vector), i * size); });
  return tf.keep(tf.tensor2d(floats, [rows, size]));
}

/**
 * Base and task vectors on TensorFlow's device, each block uploaded when it is first used. A block's vectors are the rows of
 * one matrix: composing is its product with the weights, the adjoint sums its rows times the gradient.
 */
export class ResidentBlockStore implements BlockStore {
  /** By block name; null where no vector has the block. */
  readonly #matrices = new Map<string, KeptMatrix | null>();

  constructor(readonly residentBase: ResidentBase, readonly hostVectors: readonly TaskVector[]) {
    residentBase.hold();
  }

  /** The vectors of a block as rows `[n, size]`, float32; the caller owns it. */
  #rows({ name, shape }: BlockSpec): Tensor2D | null {
    let kept = this.#matrices.get(name);
    if (kept === undefined) {
      const vectors = this.hostVectors.map((vector) => blockOf(vector, name));
      kept = vectors.every((vector) => vector === undefined) ? null : keptMatrix(vectors, sizeOf(shape));
      this.#matrices.set(name, kept);
    }
    if (kept === null) return null;
    return isHalf(kept) ? kept.widened() : kept.clone();
  }

  base({ block }: IndexedBlock): Tensor {
    return this.residentBase.tensor(block).clone();
  }

  vectors({ block }: IndexedBlock): Tensor[] {
    return tf.tidy(() => {
      const rows = this.#rows(block);
      if (rows === null) return this.hostVectors.map(() => tf.zeros([...block.shape]));
      return tf.unstack(rows).map((row) => tf.reshape(row, [...block.shape]));
    });
  }

  weightedSum({ block, index }: IndexedBlock, weights: Tensor2D, onto: "base" | "zero"): Tensor {
    return tf.tidy(() => {
      const base = onto === "base" ? this.residentBase.tensor(block) : tf.zeros([...block.shape]);
      const rows = this.#rows(block);
      if (rows === null) return base.clone();
      const own = tf.slice2d(weights, [index, 0], [1, -1]);
      return tf.add(base, tf.reshape(tf.matMul(own, rows), [...block.shape]));
    });
  }

  innerProducts({ block }: IndexedBlock, gradient: Tensor): Tensor1D {
    return tf.tidy(() => {
      const rows = this.#rows(block);
      if (rows === null) return tf.zeros([this.hostVectors.length]);
      // A product of matrices adds up millions of numbers in a few places: four digits were left on some processors.
      return tf.sum(tf.mul(rows, tf.reshape(gradient, [1, -1])), 1);
    });
  }

  dispose(): void {
    for (const matrix of this.#matrices.values()) matrix?.dispose();
    this.#matrices.clear();
    this.residentBase.release();
  }
}
