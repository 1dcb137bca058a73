import type { StoredTensor } from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { LENGTH_BYTES, parseHeaderLength, parseSafetensorsHeader } from "./safetensors-header.js";
import type { TensorFile } from "./tensor-file.js";

/**
 * Reads and checks the header of a safetensors file; of the data only what is asked for later.
 * @param where name of the file, for messages.
 * @throws SafetensorsError
 */
export async function openSafetensors(source: ByteSource, where: string): Promise<TensorFile> {
  const first = await source.read(0, Math.min(LENGTH_BYTES, source.size));
  const headerLength = parseHeaderLength(first, source.size, where);
  const dataStart = LENGTH_BYTES + headerLength;
  const header = await source.read(LENGTH_BYTES, headerLength);
  const { entries, metadata } = parseSafetensorsHeader(header, source.size - dataStart, where);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, { dtype, shape, begin, end }] of entries) {
    tensors.set(name, { dtype, shape, bytes: () => source.read(dataStart + begin, end - begin) });
  }
  return { tensors, metadata, names: [...tensors.keys()] };
}
