import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { IndexedBlock } from "./composition.js";
import { widen, type NamedHostTensors } from "./state-dict.js";
import type { TaskVector } from "./task-vector.js";
import { innerProducts, weightedSum } from "./weighted-sum.js";

/**
 * The blocks of a base and its n task vectors as tensors, wherever they are kept. What a method returns has the block's
 * shape unless it says otherwise, and belongs to the caller.
 */
export interface BlockStore {
  /** θ0(j) */
  base(at: IndexedBlock): Tensor;
  /** τᵢ(j), i = 1 … n; zeros where a vector lacks the block. */
  vectors(at: IndexedBlock): Tensor[];
  /**
   * onto + Σ wᵢ τᵢ(j), onto being θ0(j) or zero.
   * @param weights `[m, n]`; row `at.index` is w.
   */
  weightedSum(at: IndexedBlock, weights: Tensor2D, onto: "base" | "zero"): Tensor;
  /** ⟨gradient, τᵢ(j)⟩ for every vector, `[n]`: the adjoint of `weightedSum` in the weights. */
  innerProducts(at: IndexedBlock, gradient: Tensor): Tensor1D;
  dispose(): void;
}

/** Makes the store of a base and task vectors: a backend's own way to keep them on its device. */
export type MakeBlockStore = (base: NamedHostTensors, vectors: readonly TaskVector[]) => BlockStore;

/**
 * Base and task vectors stay in host memory, F16 where they came so: those of one block at a time are widened and
 * uploaded to the current tfjs backend.
 */
export class HostBlockStore implements BlockStore {
  constructor(readonly hostBase: NamedHostTensors, readonly hostVectors: readonly TaskVector[]) {}

  base({ block }: IndexedBlock): Tensor {
    return tf.tensor(widen(this.hostBase.get(block.name)!), [...block.shape], "float32");
  }

  vectors({ block }: IndexedBlock): Tensor[] {
    return this.hostVectors.map(({ blocks }) => {
      const own = blocks.get(block.name);
      return own === undefined ? tf.zeros([...block.shape]) : tf.tensor(widen(own), [...block.shape], "float32");
    });
  }

  weightedSum(at: IndexedBlock, weights: Tensor2D, onto: "base" | "zero"): Tensor {
    return tf.tidy(() => {
      const row = tf.reshape(tf.slice2d(weights, [at.index, 0], [1, -1]), [-1]) as Tensor1D;
      return weightedSum(onto === "base" ? this.base(at) : tf.zeros([...at.block.shape]), this.vectors(at), row);
    });
  }

  innerProducts(at: IndexedBlock, gradient: Tensor): Tensor1D {
    return tf.tidy(() => innerProducts(gradient, this.vectors(at)));
  }

  dispose(): void {
    // Nothing is kept on a device.
  }
}
