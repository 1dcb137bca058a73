import { multipliedOut, zerosLike, type HostTensor, type NamedArrays, type ScalarComposition } from "@atlas-tv/core";
import type { BufferPool } from "./buffer-pool.js";
import type { ComposedParameters, GradientCollector } from "./composed-parameters.js";
import { Tensor } from "./onnxruntime.js";
import { floatTensor, type ProgramCache } from "./program.js";
import type { ScalarPlan, StackedBlock, TiledBlock } from "./scalar-plan.js";
import { stackProducts, stackSums, tileProducts, tileSum } from "./scalar-programs.js";

function hostSlice({ dtype, data }: HostTensor, from: number, to: number): Tensor {
  const shape = [1, to - from];
  return dtype === "F32" ? floatTensor(data.subarray(from, to), shape) : new Tensor("float16", data.subarray(from, to), shape);
}

/** The inputs `t0`, `t1` … of one tile. */
function tileOf(vectors: readonly HostTensor[], from: number, to: number): Record<string, Tensor> {
  return Object.fromEntries(vectors.map((tensor, i) => [`t${i}`, hostSlice(tensor, from, to)]));
}

/** The vectors of one block, those of low rank multiplied out for as long as the block is worked on. */
function vectorsOf({ vectors }: TiledBlock): HostTensor[] {
  return vectors.map(({ tensor }) => multipliedOut(tensor));
}

/** Runs the programs that scale, add and multiply task vectors. */
export class ScalarArithmetic {
  constructor(readonly plan: ScalarPlan, readonly programs: ProgramCache, readonly pool: BufferPool) {}

  /** Composes small blocks: `weights(block)` are the n weights. */
  async sumStacked(
    blocks: readonly StackedBlock[],
    weights: (block: StackedBlock) => Float32Array,
    into: (block: StackedBlock) => Float32Array,
  ): Promise<void> {
    if (blocks.length === 0) return;
    const program = await this.programs.get(`stack-sums/${blocks.length}`, () => stackSums(blocks.length));
    const feeds: Record<string, Tensor> = {};
    const fetches: Record<string, Tensor> = {};
    blocks.forEach((block, p) => {
      const size = block.base.length;
      feeds[`w${p}`] = floatTensor(weights(block), [1, this.plan.n]);
      feeds[`stack${p}`] = floatTensor(block.stack!, [this.plan.n, size]);
      feeds[`base${p}`] = floatTensor(block.base, [1, size]);
      fetches[`y${p}`] = floatTensor(into(block), [1, size]);
    });
    await program.run(feeds, fetches);
  }

  async sumTiled(block: TiledBlock, weights: Float32Array, into: Float32Array): Promise<void> {
    const vectors = vectorsOf(block);
    const elements = vectors.map(({ dtype }) => dtype);
    const base = block.base?.dtype ?? null;
    const program = await this.programs.get(`tile-sum/${base}/${elements.join()}`, () => tileSum(base, elements));
    const own = Float32Array.from(block.vectors, ({ index }) => weights[index]!);
    const w = floatTensor(own, [1, own.length]);
    for (const { from, to } of block.tiles) {
      const feeds: Record<string, Tensor> = { w, ...tileOf(vectors, from, to) };
      if (block.base !== null) feeds["base"] = hostSlice(block.base, from, to);
      await program.run(feeds, { y: floatTensor(into.subarray(from, to), [1, to - from]) });
    }
  }

  /** ⟨gradient, τᵢ⟩ of small blocks, n numbers for each. */
  async productsStacked(
    blocks: readonly StackedBlock[],
    gradient: (block: StackedBlock) => Float32Array,
  ): Promise<Float32Array[]> {
    if (blocks.length === 0) return [];
    const { n } = this.plan;
    const program = await this.programs.get(`stack-products/${blocks.length}`, () => stackProducts(blocks.length));
    const feeds: Record<string, Tensor> = {};
    blocks.forEach((block, p) => {
      feeds[`stack${p}`] = floatTensor(block.stack!, [n, block.base.length]);
      feeds[`g${p}`] = floatTensor(gradient(block), [1, block.base.length]);
    });
    const products = new Float32Array(blocks.length * n);
    await program.run(feeds, { y: floatTensor(products, [products.length]) });
    return blocks.map((_, p) => products.subarray(p * n, (p + 1) * n));
  }

  /** ⟨gradient, τᵢ⟩ of a large block, n numbers; tiles are added in float64. */
  async productsTiled(block: TiledBlock, gradient: Float32Array): Promise<Float32Array> {
    const vectors = vectorsOf(block);
    const elements = vectors.map(({ dtype }) => dtype);
    const program = await this.programs.get(`tile-products/${elements.join()}`, () => tileProducts(elements));
    const totals = new Float64Array(this.plan.n);
    const products = new Float32Array(elements.length);
    const y = floatTensor(products, [products.length, 1]);
    for (const { from, to } of block.tiles) {
      const g = floatTensor(gradient.subarray(from, to), [to - from, 1]);
      await program.run({ g, ...tileOf(vectors, from, to) }, { y });
      products.forEach((value, i) => { totals[block.vectors[i]!.index]! += value; });
    }
    return Float32Array.from(totals);
  }
}

/** Blocks θ0 + Σ wᵢ τᵢ. Task vectors are read where they are, the large ones tile by tile. */
export class ScalarParameters implements ComposedParameters {
  readonly values = new Map<string, Float32Array>();
  readonly #owned: Float32Array[] = [];

  private constructor(
    readonly arithmetic: ScalarArithmetic,
    readonly composition: ScalarComposition,
    readonly coefficients: NamedArrays,
  ) {}

  /** @param groups the blocks of each stage, which are composed in one run as far as they are small. */
  static async compose(
    arithmetic: ScalarArithmetic,
    composition: ScalarComposition,
    coefficients: NamedArrays,
    groups: readonly (readonly string[])[],
  ): Promise<ScalarParameters> {
    const own = new ScalarParameters(arithmetic, composition, coefficients);
    for (const group of groups) await own.#compose(group);
    return own;
  }

  async #compose(group: readonly string[]): Promise<void> {
    const { plan, pool } = this.arithmetic;
    const take = (name: string, size: number): Float32Array => {
      const values = pool.take(size);
      this.#owned.push(values);
      this.values.set(name, values);
      return values;
    };
    const weights = ({ at }: StackedBlock | TiledBlock): Float32Array => this.composition.weights(at, plan.n, this.coefficients);
    const stacked = group.flatMap((name) => plan.stacked.get(name) ?? []);
    for (const { at, base, stack } of stacked) if (stack === null) this.values.set(at.block.name, base);
    const changing = stacked.filter(({ stack }) => stack !== null);
    await this.arithmetic.sumStacked(changing, weights, ({ at, base }) => take(at.block.name, base.length));
    for (const name of group) {
      const block = plan.tiled.get(name);
      if (block !== undefined) await this.arithmetic.sumTiled(block, weights(block), take(name, block.size));
    }
  }

  collect(): GradientCollector {
    const { plan, pool } = this.arithmetic;
    const gradients = zerosLike(this.coefficients);
    const buffers = new Map<string, Float32Array>();
    const sizeOfBlock = (name: string): number => this.values.get(name)!.length;
    return {
      buffer(block) {
        const known = buffers.get(block);
        if (known !== undefined) return known;
        const made = pool.take(sizeOfBlock(block));
        buffers.set(block, made);
        return made;
      },
      take: async (blocks) => {
        const stacked = blocks.flatMap((name) => plan.stacked.get(name) ?? []).filter(({ stack }) => stack !== null);
        const products = await this.arithmetic.productsStacked(stacked, ({ at }) => buffers.get(at.block.name)!);
        stacked.forEach(({ at }, p) => this.composition.accumulate(at, plan.n, products[p]!, gradients));
        for (const name of blocks) {
          const block = plan.tiled.get(name);
          if (block === undefined) continue;
          this.composition.accumulate(block.at, plan.n, await this.arithmetic.productsTiled(block, buffers.get(name)!), gradients);
        }
        for (const name of blocks) {
          pool.give(buffers.get(name)!);
          buffers.delete(name);
        }
      },
      finish: () => gradients,
    };
  }

  dispose(): void {
    this.#owned.splice(0).forEach((values) => this.arithmetic.pool.give(values));
    this.values.clear();
  }
}
