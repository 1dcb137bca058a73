import { ELEMENT_BYTES, InputError, sizeOf, storedTensor, type HostTensor, type StoredTensor } from "@atlas-tv/core";
import { LENGTH_BYTES, MAX_HEADER_BYTES, METADATA_NAME } from "./safetensors-header.js";

/** Named tensors to write: from memory, or from another file. */
export type WritableTensors = ReadonlyMap<string, StoredTensor | HostTensor>;

/** Files of other tools map tensors into memory, where F64 must start at a multiple of 8 bytes. */
const ALIGNMENT = 8;

const TO_WRITE = "safetensors file to write";

interface Placed {
  readonly name: string;
  readonly tensor: StoredTensor;
  readonly bytes: number;
}

function place([name, tensor]: [string, StoredTensor | HostTensor]): Placed {
  if (name === METADATA_NAME) {
    const got = `a tensor named "${name}"`;
    throw new InputError({ where: TO_WRITE, got, expected: "another name: this one is reserved" });
  }
  const stored = "bytes" in tensor ? tensor : storedTensor(tensor);
  return { name, tensor: stored, bytes: sizeOf(stored.shape) * ELEMENT_BYTES[stored.dtype] };
}

/** Length and header, padded with spaces so that the data starts at a multiple of eight bytes. */
function encodeHeader(fields: readonly (readonly [string, unknown])[]): Uint8Array {
  // Field by field: an object would put number-like names first.
  const texts = fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${texts.join(",")}}`);
  const length = Math.ceil(json.byteLength / ALIGNMENT) * ALIGNMENT;
  if (length > MAX_HEADER_BYTES) {
    const expected = `at most ${MAX_HEADER_BYTES} bytes`;
    throw new InputError({ where: TO_WRITE, got: `a header of ${length} bytes`, expected });
  }
  const out = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(out.buffer).setBigUint64(0, BigInt(length), true);
  out.set(json, LENGTH_BYTES);
  return out;
}

/**
 * A safetensors file as chunks, one tensor at a time, so that no copy of the whole is ever held. The same input
 * gives the same bytes. The header names the tensors in the given order; their data is laid out by decreasing
 * element width, so that every tensor is aligned to its elements.
 * @param metadata free text by name; written in the order of its names.
 */
export async function* encodeSafetensors(
  tensors: WritableTensors,
  metadata: Readonly<Record<string, string>> = {},
): AsyncGenerator<Uint8Array> {
  const given = [...tensors].map(place);
  const layout = [...given].sort((a, b) => ELEMENT_BYTES[b.tensor.dtype] - ELEMENT_BYTES[a.tensor.dtype]);
  const begins = new Map<string, number>();
  let end = 0;
  for (const { name, bytes } of layout) {
    begins.set(name, end);
    end += bytes;
  }

  const fields: [string, unknown][] = [];
  const texts = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  if (texts.length > 0) fields.push([METADATA_NAME, Object.fromEntries(texts)]);
  for (const { name, tensor, bytes } of given) {
    const begin = begins.get(name)!;
    fields.push([name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, begin + bytes] }]);
  }
  yield encodeHeader(fields);

  for (const { name, tensor, bytes } of layout) {
    if (bytes === 0) continue;
    const data = await tensor.bytes();
    if (data.byteLength !== bytes) {
      throw new InputError({
        where: `tensor "${name}" to write`,
        got: `${data.byteLength} bytes`,
        expected: `${bytes} bytes for ${tensor.dtype} of shape [${tensor.shape.join(", ")}]`,
      });
    }
    yield data;
  }
}
