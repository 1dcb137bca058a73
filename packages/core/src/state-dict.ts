import { bfloat16ToFloat32, float16ToFloat32 } from "./half.js";
import { ELEMENT_BYTES, sizeOf, type ElementType } from "./element-type.js";
import { InputError } from "./errors.js";

/** A tensor whose bytes are fetched when asked for: from a file, from memory, from the network. */
export interface StoredTensor {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  /** Little-endian, row-major, `sizeOf(shape) × ELEMENT_BYTES[dtype]` bytes. */
  bytes(): Promise<Uint8Array>;
}

/** Named tensors in file order. */
export type StateDict = ReadonlyMap<string, StoredTensor>;

/** A tensor held in host memory. F16 is held as its bits. */
export type HostTensor =
  | { readonly dtype: "F32"; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: "F16"; readonly shape: readonly number[]; readonly data: Uint16Array };

export type NamedHostTensors = ReadonlyMap<string, HostTensor>;

/** A matrix `[rows, columns]` kept as the product `left [rows, r]` · `right [r, columns]` of two thin ones. */
export interface LowRankTensor {
  readonly dtype: "low-rank";
  readonly shape: readonly number[];
  readonly left: HostTensor;
  readonly right: HostTensor;
}

/** State-dict entries that are not parameters, whatever the network. */
const BUFFER = /\.(running_mean|running_var|num_batches_tracked|attn_mask)$/;

/** Whether a name is that of a buffer, such as BatchNorm's running statistics: no part of a task vector. */
export function isBuffer(name: string): boolean {
  return BUFFER.test(name);
}

function aligned(bytes: Uint8Array, width: number): Uint8Array {
  // Not `slice`, which shares the memory of a Buffer.
  return bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
}

/**
 * Reads a stored tensor as float32; F16, BF16 and F64 are converted.
 * @throws InputError for integer and boolean tensors.
 */
export async function readFloat32(tensor: StoredTensor, name = "tensor"): Promise<Float32Array> {
  const width = ELEMENT_BYTES[tensor.dtype];
  const bytes = aligned(await tensor.bytes(), width);
  const count = sizeOf(tensor.shape);
  switch (tensor.dtype) {
    case "F32": return new Float32Array(bytes.buffer, bytes.byteOffset, count);
    case "F16": return float16ToFloat32(new Uint16Array(bytes.buffer, bytes.byteOffset, count));
    case "BF16": return bfloat16ToFloat32(new Uint16Array(bytes.buffer, bytes.byteOffset, count));
    case "F64": return Float32Array.from(new Float64Array(bytes.buffer, bytes.byteOffset, count));
    default:
      throw new InputError({
        where: `tensor "${name}"`,
        got: `element type ${tensor.dtype}`,
        expected: "a floating-point tensor (F32, F16, BF16 or F64)",
      });
  }
}

/** Reads a stored integer tensor (I64, I32, U8 …) as numbers. I64 values beyond 2⁵³ lose precision. */
export async function readIntegers(tensor: StoredTensor, name = "tensor"): Promise<Float64Array> {
  const width = ELEMENT_BYTES[tensor.dtype];
  const bytes = aligned(await tensor.bytes(), width);
  const at = [bytes.buffer as ArrayBuffer, bytes.byteOffset, sizeOf(tensor.shape)] as const;
  switch (tensor.dtype) {
    case "I64": return Float64Array.from(new BigInt64Array(...at), Number);
    case "U64": return Float64Array.from(new BigUint64Array(...at), Number);
    case "I32": return Float64Array.from(new Int32Array(...at));
    case "U32": return Float64Array.from(new Uint32Array(...at));
    case "I16": return Float64Array.from(new Int16Array(...at));
    case "U16": return Float64Array.from(new Uint16Array(...at));
    case "I8": return Float64Array.from(new Int8Array(...at));
    case "U8": case "BOOL": return Float64Array.from(new Uint8Array(...at));
    default:
      throw new InputError({ where: `tensor "${name}"`, got: `element type ${tensor.dtype}`, expected: "an integer tensor" });
  }
}

/** Reads a stored tensor into host memory: F16 stays F16, every other floating type becomes F32. */
export async function readHostTensor(tensor: StoredTensor, name = "tensor"): Promise<HostTensor> {
  if (tensor.dtype !== "F16") return { dtype: "F32", shape: tensor.shape, data: await readFloat32(tensor, name) };
  const bytes = aligned(await tensor.bytes(), 2);
  return { dtype: "F16", shape: tensor.shape, data: new Uint16Array(bytes.buffer, bytes.byteOffset, sizeOf(tensor.shape)) };
}

function product({ shape, left, right }: LowRankTensor): Float32Array {
  const [rows = 0, columns = 0] = shape;
  const rank = right.shape[0]!;
  const [a, b] = [widen(left), widen(right)];
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const into = values.subarray(row * columns, (row + 1) * columns);
    for (let k = 0; k < rank; k++) {
      const factor = a[row * rank + k]!;
      for (let column = 0; column < columns; column++) into[column]! += factor * b[k * columns + column]!;
    }
  }
  return values;
}

/** The values of a tensor as float32; F32 is returned as it is, not copied. */
export function widen(tensor: HostTensor | LowRankTensor): Float32Array {
  switch (tensor.dtype) {
    case "F32": return tensor.data;
    case "F16": return float16ToFloat32(tensor.data);
    case "low-rank": return product(tensor);
  }
}

/** A tensor with all its elements: a low-rank one is multiplied out, any other is returned as it is. */
export function multipliedOut(tensor: HostTensor | LowRankTensor): HostTensor {
  return tensor.dtype === "low-rank" ? { dtype: "F32", shape: tensor.shape, data: product(tensor) } : tensor;
}

/** A host tensor as a stored tensor, for writers. */
export function storedTensor(tensor: HostTensor): StoredTensor {
  const { data } = tensor;
  return {
    dtype: tensor.dtype,
    shape: tensor.shape,
    bytes: () => Promise.resolve(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  };
}
