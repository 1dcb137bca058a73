import { ELEMENT_BYTES, type StoredTensor } from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { stridedTensor } from "./strided-tensor.js";

/** A tensor's bytes as a source; they are read once for each reading of it. */
function sourceOf({ dtype, shape, bytes }: StoredTensor): ByteSource {
  const size = shape.reduce((product, extent) => product * extent, ELEMENT_BYTES[dtype]);
  return { size, read: async (offset, length) => (await bytes()).subarray(offset, offset + length) };
}

/** A matrix `(rows, columns)` as `(columns, rows)`. */
export function transposed(tensor: StoredTensor): StoredTensor {
  const [rows = 1, columns = 1] = tensor.shape;
  return stridedTensor({ dtype: tensor.dtype, shape: [columns, rows], strides: [1, columns], offset: 0 }, sourceOf(tensor));
}

/** Tensors of one type and shape, one after another along their first axis. */
export function joined(parts: readonly StoredTensor[]): StoredTensor {
  const [first] = parts;
  const [rows = 1, ...rest] = first!.shape;
  return {
    dtype: first!.dtype,
    shape: [rows * parts.length, ...rest],
    async bytes() {
      const all = await Promise.all(parts.map((part) => part.bytes()));
      const out = new Uint8Array(all.reduce((sum, { byteLength }) => sum + byteLength, 0));
      let at = 0;
      for (const bytes of all) {
        out.set(bytes, at);
        at += bytes.byteLength;
      }
      return out;
    },
  };
}

/** Part `index` of `count` equal ones along the first axis, which `count` must divide. */
export function partOf(tensor: StoredTensor, index: number, count: number): StoredTensor {
  const [rows = 1, ...rest] = tensor.shape;
  const shape = [rows / count, ...rest];
  return {
    dtype: tensor.dtype,
    shape,
    async bytes() {
      const bytes = await tensor.bytes();
      const length = bytes.byteLength / count;
      return bytes.slice(index * length, (index + 1) * length);
    },
  };
}
