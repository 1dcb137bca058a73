import {
  float16ToFloat32, InputError, sizeOf,
  type GeneralComposition, type HostRules, type HostTensor, type IndexedBlock, type NamedArrays, type NamedTensors,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { PartitionMask, PartitionMasks } from "./partition-masks.js";

/** Elements that are widened at once: they stay in the first cache of a core. */
const TILE = 4096;

function maskOf(masks: PartitionMasks, { block }: IndexedBlock): PartitionMask | null {
  const mask = masks.of(block);
  if (mask === null || mask.length === sizeOf(block.shape)) return mask;
  throw new InputError({ where: `mask of block "${block.name}"`, got: `${mask.length} elements`, expected: `${sizeOf(block.shape)}, as the block has` });
}

/** Hands on a vector tile by tile, widened, with the elements that each tile covers. */
function eachTile(vector: HostTensor, use: (tile: Float32Array, from: number) => void): void {
  const scratch = vector.dtype === "F16" ? new Float32Array(TILE) : null;
  const size = vector.data.length;
  for (let from = 0; from < size; from += TILE) {
    const to = Math.min(size, from + TILE);
    if (vector.dtype === "F32") use(vector.data.subarray(from, to), from);
    else use(float16ToFloat32(vector.data.subarray(from, to), scratch!), from);
  }
}

/** Where the K coefficients of vector i and block j begin. */
function offset({ index, count }: IndexedBlock, vector: number, parts: number): number {
  return (vector * count + index) * parts;
}

function hostRules(masks: PartitionMasks): HostRules {
  const { parts } = masks;
  return {
    difference(at, vectors, { coef }, into) {
      const mask = maskOf(masks, at);
      if (mask === null) return;
      vectors.forEach((vector, i) => {
        const own = coef!.subarray(offset(at, i, parts), offset(at, i + 1, parts));
        if (vector === undefined || own.every((value) => value === 0)) return;
        eachTile(vector, (tile, from) => {
          const length = Math.min(tile.length, into.length - from);
          for (let e = 0; e < length; e++) into[from + e]! += Math.fround(own[mask[from + e]!]! * tile[e]!);
        });
      });
    },
    reduce(at, gradient, vectors, { coef }) {
      const mask = maskOf(masks, at);
      if (mask === null) return;
      vectors.forEach((vector, i) => {
        if (vector === undefined) return;
        const sums = new Float64Array(parts);
        eachTile(vector, (tile, from) => {
          const length = Math.min(tile.length, gradient.length - from);
          for (let e = 0; e < length; e++) sums[mask[from + e]!]! += gradient[from + e]! * tile[e]!;
        });
        const first = offset(at, i, parts);
        for (let k = 0; k < parts; k++) coef![first + k]! += sums[k]!;
      });
    },
  };
}

/** The K coefficients of vector i and block j, `[K]`. */
function row({ index }: IndexedBlock, vector: number, coef: Tensor): Tensor1D {
  return tf.reshape(tf.slice(coef, [vector, index, 0], [1, 1, -1]), [-1]) as Tensor1D;
}

function compose(masks: PartitionMasks, at: IndexedBlock, base: Tensor, vectors: readonly Tensor[], { coef }: NamedTensors): Tensor {
  const mask = maskOf(masks, at);
  if (mask === null || vectors.length === 0) return base.clone();
  return tf.tidy(() => {
    const parts = tf.tensor1d(Int32Array.from(mask), "int32");
    const scaled = vectors.map((vector, i) => tf.mul(vector, tf.reshape(tf.gather(row(at, i, coef!), parts), vector.shape)));
    return tf.add(base, scaled.reduce((sum, term) => tf.add(sum, term)));
  });
}

function reduce(masks: PartitionMasks, at: IndexedBlock, gradient: Tensor, vectors: readonly Tensor[]): NamedTensors {
  const mask = maskOf(masks, at);
  if (mask === null || vectors.length === 0) return {};
  const { index, count } = at;
  return {
    coef: tf.tidy(() => {
      const indices = tf.tensor2d(Int32Array.from(mask), [mask.length, 1], "int32");
      const sums = vectors.map((vector) => tf.scatterND(indices, tf.reshape(tf.mul(gradient, vector), [-1]), [masks.parts]));
      const own = tf.reshape(tf.stack(sums) as Tensor2D, [vectors.length, 1, masks.parts]);
      return tf.pad(own, [[0, 0], [index, count - 1 - index], [0, 0]]);
    }),
  };
}

/**
 * aTLAS ×K (paper, section 5): one coefficient per task vector, block and part, `coef [n, m, K]`. An element e of
 * block j becomes θ0(e) + Σ λ[i, j, part(e)] τᵢ(e). Starts from 0. A coefficient of an empty part has gradient 0, and
 * stays 0. Costs one mask a block and no copy of base or task vectors.
 */
export function partition(masks: PartitionMasks): GeneralComposition {
  const { parts } = masks;
  return {
    id: "partition",
    kind: "general",
    shapes: (blocks, n) => ({ coef: [n, blocks.length, parts] }),
    initial: (blocks, n): NamedArrays => ({ coef: new Float32Array(n * blocks.length * parts) }),
    compose: (at, base, vectors, coefficients) => compose(masks, at, base, vectors, coefficients),
    reduce: (at, gradient, vectors) => reduce(masks, at, gradient, vectors),
    host: hostRules(masks),
  };
}
