import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { checkCoefficients } from "./composed-weights.js";
import { zerosLike, type Composition, type IndexedBlock, type NamedArrays, type NamedTensors } from "./composition.js";
import { buffersOf, type EncoderSpec } from "./encoder-spec.js";
import { widen, type NamedHostTensors } from "./state-dict.js";
import type { TaskVector } from "./task-vector.js";

/** Tensors by block name. */
export type BlockTensors = ReadonlyMap<string, Tensor>;

export function disposeBlocks(blocks: BlockTensors): void {
  for (const tensor of blocks.values()) tensor.dispose();
}

/**
 * Composes the blocks of one encoder on the current tfjs backend. Base and task vectors stay in host memory, F16 where
 * they came so: those of one block at a time are widened and uploaded. Leftover blocks take no part.
 */
export class BlockComposer {
  readonly #blocks: readonly IndexedBlock[];

  constructor(
    readonly spec: EncoderSpec,
    readonly base: NamedHostTensors,
    readonly vectors: readonly TaskVector[],
    readonly composition: Composition,
  ) {
    const count = spec.blocks.length;
    this.#blocks = spec.blocks.map((block, index) => ({ block, index, count })).filter(({ block }) => block.kind !== "leftover");
  }

  #baseOf({ block }: IndexedBlock): Tensor {
    return tf.tensor(widen(this.base.get(block.name)!), [...block.shape], "float32");
  }

  #vectorsOf({ block }: IndexedBlock): Tensor[] {
    return this.vectors.map(({ blocks }) => {
      const own = blocks.get(block.name);
      return own === undefined ? tf.zeros([...block.shape]) : tf.tensor(widen(own), [...block.shape], "float32");
    });
  }

  #each(make: (at: IndexedBlock) => Tensor): BlockTensors {
    const made = new Map<string, Tensor>();
    try {
      for (const at of this.#blocks) made.set(at.block.name, tf.tidy(() => make(at)));
      return made;
    } catch (error) {
      disposeBlocks(made);
      throw error;
    }
  }

  /** Hands on the coefficients as tensors of the composition's shapes. */
  #uploaded<T>(coefficients: NamedArrays, use: (tensors: NamedTensors) => T): T {
    const n = this.vectors.length;
    checkCoefficients(this.composition, this.spec.blocks, n, coefficients);
    const shapes = Object.entries(this.composition.shapes(this.spec.blocks, n));
    const tensors = Object.fromEntries(shapes.map(([name, shape]) => [name, tf.tensor(coefficients[name]!, shape, "float32")]));
    try {
      return use(tensors);
    } finally {
      tf.dispose(tensors);
    }
  }

  /** θ0 as tensors, which the caller owns. */
  baseBlocks(): BlockTensors {
    return this.#each((at) => this.#baseOf(at));
  }

  /** The buffers of the base model as tensors, which the caller owns: composing leaves them as they are. */
  baseBuffers(): BlockTensors {
    return new Map(buffersOf(this.spec).map(({ name, shape }) => {
      return [name, tf.tensor(widen(this.base.get(name)!), [...shape], "float32")];
    }));
  }

  /** θ, composed; the caller owns the tensors. */
  compose(coefficients: NamedArrays): BlockTensors {
    return this.#uploaded(coefficients, (tensors) =>
      this.#each((at) => this.composition.compose(at, this.#baseOf(at), this.#vectorsOf(at), tensors)));
  }

  /** Δ = θ − θ0; the caller owns the tensors. */
  steps(coefficients: NamedArrays): BlockTensors {
    return this.#uploaded(coefficients, (tensors) => this.#each((at) => {
      const base = this.#baseOf(at);
      // A weighted sum onto zero is Δ itself; θ − θ0 would lose its last digits.
      const onto = this.composition.kind === "scalar" ? tf.zerosLike(base) : base;
      const composed = this.composition.compose(at, onto, this.#vectorsOf(at), tensors);
      return onto === base ? tf.sub(composed, base) : composed;
    }));
  }

  /** dL/d(coefficients) from dL/d(block); a coefficient that no block touches has gradient 0. */
  async reduce(gradients: BlockTensors, coefficients: NamedArrays): Promise<NamedArrays> {
    const totals = new Map<string, Tensor>();
    const reduced: Record<string, Float32Array> = zerosLike(coefficients);
    try {
      this.#uploaded(coefficients, (tensors) => {
        for (const at of this.#blocks) {
          const parts = tf.tidy(() => this.composition.reduce(at, gradients.get(at.block.name)!, this.#vectorsOf(at), tensors));
          for (const [name, part] of Object.entries(parts)) {
            const total = totals.get(name);
            totals.set(name, total === undefined ? part : tf.add(total, part));
            if (total !== undefined) tf.dispose([total, part]);
          }
        }
      });
      for (const [name, total] of totals) reduced[name] = Float32Array.from(await total.data<"float32">());
    } finally {
      totals.forEach((total) => total.dispose());
    }
    return reduced;
  }
}
