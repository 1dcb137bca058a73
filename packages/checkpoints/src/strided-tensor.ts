import { ELEMENT_BYTES, sizeOf, type ElementType, type StoredTensor } from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";

/** Where the elements of a tensor lie in its storage; all counted in elements. */
export interface TensorLayout {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** One past the last element that a tensor touches; its offset for an empty one. */
export function endOf({ shape, strides, offset }: TensorLayout): number {
  if (sizeOf(shape) === 0) return offset;
  return shape.reduce((end, extent, axis) => end + (extent - 1) * strides[axis]!, offset) + 1;
}

/** Whether the elements lie in row-major order without gaps. */
function isContiguous({ shape, strides }: TensorLayout): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false;
    step *= shape[axis]!;
  }
  return true;
}

type Elements = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

function elements(bytes: Uint8Array, width: number): Elements {
  const at = [bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / width] as const;
  if (width === 8) return new BigUint64Array(...at);
  if (width === 4) return new Uint32Array(...at);
  return width === 2 ? new Uint16Array(...at) : new Uint8Array(...at);
}

/** Copies elements by their strides into row-major order. */
function gather(from: Elements, to: Elements, shape: readonly number[], strides: readonly number[]): void {
  const index = new Array<number>(shape.length).fill(0);
  let at = 0;
  for (let next = 0; next < to.length; next++) {
    to[next] = from[at]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
}

/**
 * A tensor in a storage. One whose elements lie in a row is read by its range alone; of others the range from their
 * first element to their last is read and put in order.
 * @param layout must lie within the storage.
 */
export function stridedTensor(layout: TensorLayout, storage: ByteSource): StoredTensor {
  const { dtype, shape, strides, offset } = layout;
  const width = ELEMENT_BYTES[dtype];
  const count = sizeOf(shape);
  const span = endOf(layout) - offset;
  const read = (): Promise<Uint8Array> => storage.read(offset * width, span * width);
  if (count === 0 || isContiguous(layout)) return { dtype, shape, bytes: read };
  return {
    dtype,
    shape,
    async bytes() {
      const ordered = new Uint8Array(count * width);
      gather(elements(await read(), width), elements(ordered, width), shape, strides);
      return ordered;
    },
  };
}
