import { widen, type HostTensor } from "@atlas-tv/core";
import type { Packing } from "./flat-program.js";

/** Vectors of one block as they are uploaded: one after the other, each padded to whole pairs. */
export interface PackedVectors {
  readonly packing: Packing;
  readonly count: number;
  /** Pairs of halves as int32 words, or float32. */
  readonly data: Int32Array | Float32Array;
}

/** Bytes that one vector of `size` elements takes when packed. */
export function packedBytes(size: number, packing: Packing): number {
  return Math.ceil(size / 2) * (packing === "F16" ? 4 : 8);
}

/** Halves where every vector has them, float32 otherwise. */
export function packingOf(vectors: readonly (HostTensor | undefined)[]): Packing {
  return vectors.every((vector) => vector === undefined || vector.dtype === "F16") ? "F16" : "F32";
}

/** A vector that is absent counts as zero. */
export function packVectors(vectors: readonly (HostTensor | undefined)[], size: number, packing: Packing): PackedVectors {
  const length = 2 * Math.ceil(size / 2);
  const count = vectors.length;
  if (packing === "F32") {
    const data = new Float32Array(count * length);
    vectors.forEach((vector, i) => { if (vector !== undefined) data.set(widen(vector), i * length); });
    return { packing, count, data };
  }
  const halves = new Uint16Array(count * length);
  vectors.forEach((vector, i) => { if (vector !== undefined) halves.set(vector.data, i * length); });
  return { packing, count, data: new Int32Array(halves.buffer) };
}
