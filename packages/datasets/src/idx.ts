import { InputError } from "@atlas-tv/core";

/** Element type 8 in the third byte of an IDX file: unsigned bytes. */
const UNSIGNED_BYTE = 8;

/** A tensor of bytes as IDX files hold them (http://yann.lecun.com/exdb/mnist). */
export interface IdxTensor {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/**
 * Reads an IDX file of unsigned bytes: two zero bytes, the element type, the number of axes, their big-endian sizes,
 * the values.
 * @throws InputError naming `where` when the file is something else or its length does not fit.
 */
export function readIdx(bytes: Uint8Array, where: string): IdxTensor {
  const axes = bytes[3] ?? 0;
  const start = 4 + 4 * axes;
  if (bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== UNSIGNED_BYTE || axes === 0 || bytes.length < start) {
    throw new InputError({
      where,
      got: `a file that starts with ${hex(bytes)}`,
      expected: "an IDX file of unsigned bytes (00 00 08 …)",
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (bytes.length !== start + size) {
    throw new InputError({ where, got: `${bytes.length - start} values`, expected: `${shape.join(" × ")} = ${size}` });
  }
  return { shape, data: new Uint8Array(bytes.buffer, bytes.byteOffset + start, size) };
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ") || "nothing";
}
