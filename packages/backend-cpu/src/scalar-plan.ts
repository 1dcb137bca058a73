import {
  sizeOf, widen, type EncoderSpec, type HostTensor, type IndexedBlock, type NamedHostTensors, type TaskVector, type TaskVectorBlock,
} from "@atlas-tv/core";

/** Blocks up to this size are widened once and handled many in one run: a run costs more than their arithmetic. */
const LARGEST_STACKED = 1 << 16;

/** Elements of all vectors in a tile: widened, they stay in the cache between the steps of a program. */
const TILE_ELEMENTS = 1 << 21;

/** Fewer elements than this are not worth a run; an inner product in float32 over more of them would lose digits. */
const TILE_RANGE = [1 << 15, 1 << 18] as const;

/** A block that is small, or that no vector has. */
export interface StackedBlock {
  readonly at: IndexedBlock;
  readonly base: Float32Array;
  /** The vectors below one another `(n, size)`; null where all are zero. */
  readonly stack: Float32Array | null;
}

/** A block that is read from its host tensors, tile by tile. */
export interface TiledBlock {
  readonly at: IndexedBlock;
  /** Null where only the sum of the vectors is wanted. */
  readonly base: HostTensor | null;
  readonly vectors: readonly { readonly index: number; readonly tensor: TaskVectorBlock }[];
  readonly size: number;
  readonly tiles: readonly { readonly from: number; readonly to: number }[];
}

/** How the blocks of a model are composed. */
export interface ScalarPlan {
  /** n */
  readonly n: number;
  readonly stacked: ReadonlyMap<string, StackedBlock>;
  readonly tiled: ReadonlyMap<string, TiledBlock>;
}

function tilesOf(size: number, vectors: number): { from: number; to: number }[] {
  const most = Math.min(TILE_RANGE[1], Math.max(TILE_RANGE[0], Math.floor(TILE_ELEMENTS / vectors)));
  const count = Math.ceil(size / most);
  const length = Math.ceil(size / count);
  return Array.from({ length: count }, (_, i) => ({ from: i * length, to: Math.min(size, (i + 1) * length) }));
}

function stackOf(vectors: readonly (TaskVectorBlock | undefined)[], size: number): Float32Array {
  const stack = new Float32Array(vectors.length * size);
  vectors.forEach((vector, i) => { if (vector !== undefined) stack.set(widen(vector), i * size); });
  return stack;
}

/**
 * Base and vectors are referred to, not copied, but for small blocks and half-float blocks that no vector changes. Blocks
 * of low rank, however small, are multiplied out only while they are used.
 * @param base null for Σ wᵢ τᵢ alone.
 */
export function scalarPlan(spec: EncoderSpec, base: NamedHostTensors | null, vectors: readonly TaskVector[]): ScalarPlan {
  const stacked = new Map<string, StackedBlock>();
  const tiled = new Map<string, TiledBlock>();
  const count = spec.blocks.length;
  for (const [index, block] of spec.blocks.entries()) {
    if (block.kind === "leftover") continue;
    const at: IndexedBlock = { block, index, count };
    const size = sizeOf(block.shape);
    const from = base?.get(block.name) ?? null;
    const start = (): Float32Array => (from === null ? new Float32Array(size) : widen(from));
    const own = vectors.map(({ blocks }) => blocks.get(block.name));
    const present = own.flatMap((tensor, i) => (tensor === undefined ? [] : [{ index: i, tensor }]));
    if (present.length === 0) stacked.set(block.name, { at, base: start(), stack: null });
    else if (size <= LARGEST_STACKED && present.every(({ tensor }) => tensor.dtype !== "low-rank")) stacked.set(block.name, { at, base: start(), stack: stackOf(own, size) });
    else tiled.set(block.name, { at, base: from, vectors: present, size, tiles: tilesOf(size, present.length) });
  }
  return { n: vectors.length, stacked, tiled };
}
