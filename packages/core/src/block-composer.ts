import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import { HostBlockStore, type BlockStore, type MakeBlockStore } from "./block-store.js";
import { checkCoefficients } from "./composed-weights.js";
import { zerosLike, type Composition, type IndexedBlock, type NamedArrays, type NamedTensors, type ScalarComposition } from "./composition.js";
import { buffersOf, type EncoderSpec } from "./encoder-spec.js";
import { blockStoreOf } from "./factored-block-store.js";
import { widen, type NamedHostTensors } from "./state-dict.js";
import type { TaskVector } from "./task-vector.js";

/** Tensors by block name. */
export type BlockTensors = ReadonlyMap<string, Tensor>;

export function disposeBlocks(blocks: BlockTensors): void {
  for (const tensor of blocks.values()) tensor.dispose();
}

/** What composing a block takes from the coefficients: for scalar compositions the weights `[m, n]`, for others the tensors. */
type Uploaded = { readonly weights: Tensor2D } | { readonly tensors: NamedTensors };

/**
 * Composes the blocks of one encoder on the current tfjs backend, from wherever the store keeps base and task vectors.
 * Leftover blocks take no part.
 */
export class BlockComposer {
  readonly #blocks: readonly IndexedBlock[];
  readonly #store: BlockStore;
  #holders = 1;

  constructor(
    readonly spec: EncoderSpec,
    readonly base: NamedHostTensors,
    readonly vectors: readonly TaskVector[],
    readonly composition: Composition,
    makeStore: MakeBlockStore = (own, others) => new HostBlockStore(own, others),
  ) {
    const count = spec.blocks.length;
    this.#blocks = spec.blocks.map((block, index) => ({ block, index, count })).filter(({ block }) => block.kind !== "leftover");
    this.#store = blockStoreOf(base, vectors, makeStore);
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

  /** The weights `[m, n]` of a scalar composition, on the host. */
  #weights(composition: ScalarComposition, coefficients: NamedArrays): Float32Array {
    const n = this.vectors.length;
    const weights = new Float32Array(this.spec.blocks.length * n);
    for (const at of this.#blocks) weights.set(composition.weights(at, n, coefficients), at.index * n);
    return weights;
  }

  /** Hands on what a block is composed with, and frees it. */
  #uploaded<T>(coefficients: NamedArrays, use: (uploaded: Uploaded) => T): T {
    const { composition } = this;
    const n = this.vectors.length;
    checkCoefficients(composition, this.spec.blocks, n, coefficients);
    const uploaded = composition.kind === "scalar"
      ? { weights: tf.tensor2d(this.#weights(composition, coefficients), [this.spec.blocks.length, n]) }
      : { tensors: this.#tensors(coefficients) };
    try {
      return use(uploaded);
    } finally {
      tf.dispose(uploaded);
    }
  }

  /** The coefficients as tensors of the composition's shapes. */
  #tensors(coefficients: NamedArrays): NamedTensors {
    const shapes = Object.entries(this.composition.shapes(this.spec.blocks, this.vectors.length));
    return Object.fromEntries(shapes.map(([name, shape]) => [name, tf.tensor(coefficients[name]!, shape, "float32")]));
  }

  /** θ0 as tensors, which the caller owns. */
  baseBlocks(): BlockTensors {
    return this.#each((at) => this.#store.base(at));
  }

  /** The buffers of the base model as tensors, which the caller owns: composing leaves them as they are. */
  baseBuffers(): BlockTensors {
    return new Map(buffersOf(this.spec).map(({ name, shape }) => {
      return [name, tf.tensor(widen(this.base.get(name)!), [...shape], "float32")];
    }));
  }

  /** θ, composed; the caller owns the tensors. */
  compose(coefficients: NamedArrays): BlockTensors {
    return this.#uploaded(coefficients, (uploaded) => this.#each((at) => {
      if ("weights" in uploaded) return this.#store.weightedSum(at, uploaded.weights, "base");
      return this.composition.compose(at, this.#store.base(at), this.#vectorsOf(at), uploaded.tensors);
    }));
  }

  /** Δ = θ − θ0; the caller owns the tensors. */
  steps(coefficients: NamedArrays): BlockTensors {
    return this.#uploaded(coefficients, (uploaded) => this.#each((at) => {
      // A weighted sum onto zero is Δ itself; θ − θ0 would lose its last digits.
      if ("weights" in uploaded) return this.#store.weightedSum(at, uploaded.weights, "zero");
      const base = this.#store.base(at);
      return tf.sub(this.composition.compose(at, base, this.#vectorsOf(at), uploaded.tensors), base);
    }));
  }

  /** Dense compositions have no use for the vectors. */
  #vectorsOf(at: IndexedBlock): Tensor[] {
    return this.composition.kind === "dense" ? [] : this.#store.vectors(at);
  }

  /** dL/d(coefficients) from dL/d(block); a coefficient that no block touches has gradient 0. */
  async reduce(gradients: BlockTensors, coefficients: NamedArrays): Promise<NamedArrays> {
    const { composition } = this;
    return composition.kind === "scalar"
      ? this.#reduceWeights(composition, gradients, coefficients)
      : this.#reduceTensors(gradients, coefficients);
  }

  /** One download for all blocks: the gradients of the weights are summed up on the host. */
  async #reduceWeights(composition: ScalarComposition, gradients: BlockTensors, coefficients: NamedArrays): Promise<NamedArrays> {
    const n = this.vectors.length;
    const reduced = zerosLike(coefficients);
    if (n === 0) return reduced;
    const products = tf.tidy(() => tf.concat(this.#blocks.map((at) => this.#store.innerProducts(at, gradients.get(at.block.name)!))));
    try {
      const values = await products.data<"float32">();
      this.#blocks.forEach((at, i) => composition.accumulate(at, n, values.slice(i * n, (i + 1) * n), reduced));
    } finally {
      products.dispose();
    }
    return reduced;
  }

  async #reduceTensors(gradients: BlockTensors, coefficients: NamedArrays): Promise<NamedArrays> {
    const totals = new Map<string, Tensor>();
    const reduced: Record<string, Float32Array> = zerosLike(coefficients);
    try {
      this.#uploaded(coefficients, (uploaded) => {
        const tensors = "tensors" in uploaded ? uploaded.tensors : {};
        for (const at of this.#blocks) {
          const gradient = gradients.get(at.block.name)!;
          const parts = tf.tidy(() => this.composition.reduce(at, gradient, this.#vectorsOf(at), tensors));
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

  /** One more user of the store; whoever made the composer is the first. */
  hold(): void {
    this.#holders++;
  }

  /** The last one to leave frees the store. */
  release(): void {
    if (--this.#holders === 0) this.#store.dispose();
  }
}
