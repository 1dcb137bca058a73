import type { StateDict, StoredTensor } from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { LENGTH_BYTES, parseHeaderLength, parseSafetensorsHeader } from "./safetensors-header.js";

/** Tensors of a file, not yet read, and what the file says about itself. */
export interface TensorFile {
  /** In the order of the file. The bytes of a tensor are read each time they are asked for. */
  readonly tensors: StateDict;
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of the file. */
  readonly names: readonly string[];
}

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
