import { blockOf, sizeOf, type BlockSpec, type BlockStore, type IndexedBlock, type ResidentBase, type TaskVector } from "@atlas-tv/core";
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { Packing } from "./flat-program.js";
import { innerProducts } from "./inner-products-kernel.js";
import { packedBytes, packingOf, packVectors } from "./packed-vectors.js";
import { weightedSum, type VectorLayout } from "./weighted-sum-kernel.js";

/** Some of the vectors of a block, in one buffer on the device. */
interface Part {
  readonly tensor: Tensor;
  readonly layout: VectorLayout;
  /** Which vector is the first. */
  readonly from: number;
}

/**
 * Task vectors on the device, packed half floats where they are half floats: n of them take half of what float32 does,
 * and one pass composes a block or takes its gradient to the weights. The vectors of a block lie in as many buffers as
 * the device's limit on bindings asks for.
 */
export class DeviceBlockStore implements BlockStore {
  readonly #parts = new Map<string, readonly Part[]>();

  /** @param maxBytes of one buffer that a kernel may read. */
  constructor(
    readonly residentBase: ResidentBase,
    readonly hostVectors: readonly TaskVector[],
    readonly backend: WebGPUBackend,
    readonly maxBytes: number,
  ) {
    residentBase.hold();
  }

  #partsOf(block: BlockSpec): readonly Part[] {
    const known = this.#parts.get(block.name);
    if (known !== undefined) return known;
    const vectors = this.hostVectors.map((vector) => blockOf(vector, block.name));
    const size = sizeOf(block.shape);
    const packing: Packing = packingOf(vectors);
    const atOnce = Math.max(1, Math.floor(this.maxBytes / packedBytes(size, packing)));
    const parts: Part[] = [];
    if (vectors.some((vector) => vector !== undefined)) {
      for (let from = 0; from < vectors.length; from += atOnce) {
        const { data, count } = packVectors(vectors.slice(from, from + atOnce), size, packing);
        const tensor = tf.keep(tf.tensor1d(data, packing === "F16" ? "int32" : "float32"));
        // Uploaded at once, so that the packed copy on the host is freed.
        this.backend.uploadToGPU(tensor.dataId);
        parts.push({ tensor, from, layout: { packing, count, size } });
      }
    }
    this.#parts.set(block.name, parts);
    return parts;
  }

  base({ block }: IndexedBlock): Tensor {
    return this.residentBase.tensor(block).clone();
  }

  vectors({ block }: IndexedBlock): Tensor[] {
    const parts = this.#partsOf(block);
    if (parts.length === 0) return this.hostVectors.map(() => tf.zeros([...block.shape]));
    // A vector is the sum in which it alone has weight 1.
    return tf.tidy(() => parts.flatMap(({ tensor, layout }) => {
      const unit = tf.reshape(tf.eye(layout.count), [-1]) as Tensor1D;
      return Array.from({ length: layout.count }, (_, i) => {
        return tf.reshape(weightedSum(tensor, layout, unit, i * layout.count, null), [...block.shape]);
      });
    }));
  }

  weightedSum({ block, index }: IndexedBlock, weights: Tensor2D, onto: "base" | "zero"): Tensor {
    return tf.tidy(() => {
      const [, n] = weights.shape;
      const flat = tf.reshape(weights, [-1]) as Tensor1D;
      let sum = onto === "base" ? (tf.reshape(this.residentBase.tensor(block), [-1]) as Tensor1D) : null;
      for (const { tensor, layout, from } of this.#partsOf(block)) sum = weightedSum(tensor, layout, flat, index * n + from, sum);
      return sum === null ? tf.zeros([...block.shape]) : tf.reshape(sum, [...block.shape]);
    });
  }

  innerProducts({ block }: IndexedBlock, gradient: Tensor): Tensor1D {
    return tf.tidy(() => {
      const parts = this.#partsOf(block);
      if (parts.length === 0) return tf.zeros([this.hostVectors.length]) as Tensor1D;
      const flat = tf.reshape(gradient, [-1]) as Tensor1D;
      const products = parts.map(({ tensor, layout }) => innerProducts(tensor, layout, flat));
      return products.length === 1 ? products[0]! : (tf.concat(products) as Tensor1D);
    });
  }

  dispose(): void {
    for (const parts of this.#parts.values()) for (const { tensor } of parts) tensor.dispose();
    this.#parts.clear();
    this.residentBase.release();
  }
}
