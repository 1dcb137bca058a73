import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { BlockStore, MakeBlockStore } from "./block-store.js";
import type { IndexedBlock } from "./composition.js";
import type { BlockSpec } from "./encoder-spec.js";
import { matrixProduct } from "./matrix-product.js";
import { widen, type HostTensor, type LowRankTensor, type NamedHostTensors } from "./state-dict.js";
import type { TaskVector, TaskVectorBlock } from "./task-vector.js";

/** The low-rank differences of one block side by side: a weighted sum of them is one product of thin matrices. */
interface Factors {
  /** [L₁ … Lₙ], `[rows, Σr]` */
  readonly left: Tensor2D;
  /** [R₁; …; Rₙ], `[Σr, columns]` */
  readonly right: Tensor2D;
  /** 1 where column k of `left` is of vector i, else 0, `[n, Σr]` */
  readonly owners: Tensor2D;
}

function isLowRank(block: TaskVectorBlock): block is LowRankTensor {
  return block.dtype === "low-rank";
}

function wholeBlocks({ name, blocks }: TaskVector): TaskVector {
  return { name, blocks: new Map([...blocks].filter(([, block]) => !isLowRank(block))) };
}

function matrix(tensor: HostTensor): Tensor2D {
  return tf.tensor2d(widen(tensor), tensor.shape as [number, number], "float32");
}

/** Of the vectors' blocks, those of low rank; null where none is. */
function factorsOf(blocks: readonly (TaskVectorBlock | undefined)[]): Factors | null {
  const low = blocks.flatMap((block, vector) => (block !== undefined && isLowRank(block) ? [{ vector, ...block }] : []));
  if (low.length === 0) return null;
  const columns = low.flatMap(({ vector, right }) => new Array<number>(right.shape[0]!).fill(vector));
  const owners = Float32Array.from({ length: blocks.length * columns.length }, (_, at) => {
    return columns[at % columns.length] === Math.floor(at / columns.length) ? 1 : 0;
  });
  return tf.tidy(() => ({
    left: tf.keep(tf.concat2d(low.map(({ left }) => matrix(left)), 1)),
    right: tf.keep(tf.concat2d(low.map(({ right }) => matrix(right)), 0)),
    owners: tf.keep(tf.tensor2d(owners, [blocks.length, columns.length])),
  }));
}

/** Σ wᵢ Lᵢ Rᵢ `[rows, columns]`. @param weights `[1, n]`. */
function product({ left, right, owners }: Factors, weights: Tensor2D): Tensor2D {
  // A sum with one summand that is not 0 is exact, which a product of matrices need not be on a GPU.
  const columns = tf.sum(tf.mul(owners, tf.transpose(weights)), 0, true);
  return matrixProduct(tf.mul(left, columns), right) as Tensor2D;
}

/**
 * Keeps the low-rank blocks of task vectors as the factors they come in, Σ r · (rows + columns) numbers on the device,
 * and leaves all other blocks to another store.
 */
export class FactoredBlockStore implements BlockStore {
  readonly #factors = new Map<string, Factors | null>();
  readonly #others: BlockStore;

  constructor(base: NamedHostTensors, readonly taskVectors: readonly TaskVector[], makeStore: MakeBlockStore) {
    this.#others = makeStore(base, taskVectors.map(wholeBlocks));
  }

  #of({ name }: BlockSpec): Factors | null {
    let factors = this.#factors.get(name);
    if (factors === undefined) {
      factors = factorsOf(this.taskVectors.map(({ blocks }) => blocks.get(name)));
      this.#factors.set(name, factors);
    }
    return factors;
  }

  base(at: IndexedBlock): Tensor {
    return this.#others.base(at);
  }

  vectors(at: IndexedBlock): Tensor[] {
    const factors = this.#of(at.block);
    if (factors === null) return this.#others.vectors(at);
    const n = this.taskVectors.length;
    return tf.tidy(() => this.#others.vectors(at).map((other, i) => {
      const block = this.taskVectors[i]!.blocks.get(at.block.name);
      if (block === undefined || !isLowRank(block)) return other;
      return product(factors, tf.oneHot(tf.tensor1d([i], "int32"), n) as Tensor2D);
    }));
  }

  weightedSum(at: IndexedBlock, weights: Tensor2D, onto: "base" | "zero"): Tensor {
    const factors = this.#of(at.block);
    if (factors === null) return this.#others.weightedSum(at, weights, onto);
    return tf.tidy(() => {
      const own = tf.slice2d(weights, [at.index, 0], [1, -1]);
      return tf.add(this.#others.weightedSum(at, weights, onto), product(factors, own));
    });
  }

  innerProducts(at: IndexedBlock, gradient: Tensor): Tensor1D {
    const factors = this.#of(at.block);
    if (factors === null) return this.#others.innerProducts(at, gradient);
    const { left, right, owners } = factors;
    return tf.tidy(() => {
      // ⟨G, L R⟩ = Σ (Lᵀ G) ∘ R
      const columns = tf.sum(tf.mul(matrixProduct(left, gradient, "TN"), right), 1);
      const products = tf.sum(tf.mul(owners, tf.reshape(columns, [1, -1])), 1) as Tensor1D;
      return tf.add(this.#others.innerProducts(at, gradient), products);
    });
  }

  dispose(): void {
    for (const factors of this.#factors.values()) if (factors !== null) tf.dispose([factors.left, factors.right, factors.owners]);
    this.#factors.clear();
    this.#others.dispose();
  }
}

/** A store of these task vectors; their low-rank blocks stay factors whatever `makeStore` makes. */
export function blockStoreOf(base: NamedHostTensors, vectors: readonly TaskVector[], makeStore: MakeBlockStore): BlockStore {
  const factored = vectors.some(({ blocks }) => [...blocks.values()].some(isLowRank));
  return factored ? new FactoredBlockStore(base, vectors, makeStore) : makeStore(base, vectors);
}
