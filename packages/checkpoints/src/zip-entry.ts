import { InputError } from "@atlas-tv/core";
import { memorySource, type ByteSource } from "./byte-source.js";
import { LOCAL_HEADER_BYTES, zipError, type ZipEntry } from "./zip-directory.js";

const SIGNATURE = 0x04034b50;
const STORED = 0;
const DEFLATED = 8;

/** Weights hardly shrink when they are packed: what grows a hundredfold is a zip bomb, from a size where that matters. */
const MAX_RATIO = 100;
const RATIO_FROM_BYTES = 1024 * 1024;

/** Packed entries are unpacked in memory, whole. */
const MAX_UNPACKED_BYTES = 2 ** 31;

/** Where the data of an entry begins. The header before it must be the one that the directory describes. */
async function dataOffset(source: ByteSource, entry: ZipEntry, where: string): Promise<number> {
  const nameBytes = new TextEncoder().encode(entry.name);
  const length = LOCAL_HEADER_BYTES + nameBytes.byteLength;
  const header = await source.read(entry.headerOffset, length);
  const view = new DataView(header.buffer, header.byteOffset);
  const sameName = view.getUint16(26, true) === nameBytes.byteLength && nameBytes.every((byte, at) => header[LOCAL_HEADER_BYTES + at] === byte);
  if (view.getUint32(0, true) !== SIGNATURE || view.getUint16(8, true) !== entry.method || !sameName) {
    throw zipError("bad-entry", where, `other bytes at ${entry.headerOffset} than the header of this entry`, "its header");
  }
  const start = entry.headerOffset + length + view.getUint16(28, true);
  if (start + entry.packedSize <= entry.limit) return start;
  throw zipError("overlapping-entries", where, `data up to byte ${start + entry.packedSize}`, `data before byte ${entry.limit}, where something else begins`);
}

/** Unpacks deflated bytes; stops as soon as there are more than announced. */
async function inflate(packed: Uint8Array, size: number, where: string): Promise<Uint8Array> {
  const out = new Uint8Array(size);
  let done = 0;
  const reader = new Blob([packed as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  try {
    for (;;) {
      const chunk = await reader.read();
      if (chunk.done) break;
      if (done + chunk.value.byteLength > size) {
        await reader.cancel();
        throw zipError("bomb", where, `more than the ${size} bytes that the directory announces`, `${size} bytes`);
      }
      out.set(chunk.value, done);
      done += chunk.value.byteLength;
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw zipError("bad-data", where, "packed data that cannot be unpacked", "deflated data");
  }
  if (done !== size) throw zipError("bad-data", where, `${done} bytes`, `${size} bytes, as the directory announces`);
  return out;
}

/**
 * The content of an entry as a source of its own: a range of the file when it is stored, and unpacked in memory for
 * each reading otherwise.
 * @param where name of the file, for messages.
 * @throws ZipError when its header is not what the directory says, or it is packed beyond measure.
 */
export async function openZipEntry(source: ByteSource, entry: ZipEntry, where: string): Promise<ByteSource> {
  const at = `${where}: entry "${entry.name}"`;
  const start = await dataOffset(source, entry, at);
  const { size, packedSize, method } = entry;
  if (method === STORED) {
    return {
      size,
      read(offset, length) {
        if (offset < 0 || length < 0 || offset + length > size) throw new RangeError(`bytes ${offset} to ${offset + length} of an entry of ${size} bytes`);
        return source.read(start + offset, length);
      },
    };
  }
  if (method !== DEFLATED) throw zipError("unsupported", at, `an entry packed by method ${method}`, "stored or deflated entries");
  if (size > MAX_UNPACKED_BYTES || (size > RATIO_FROM_BYTES && size > MAX_RATIO * packedSize)) {
    throw zipError("bomb", at, `${size} bytes packed into ${packedSize}`, `at most ${MAX_UNPACKED_BYTES} bytes, and a hundredth of them packed`);
  }
  return {
    size,
    // Unpacked anew each time: entries are read whole and once, and a checkpoint's must not gather in memory.
    read: async (offset, length) => memorySource(await inflate(await source.read(start, packedSize), size, at)).read(offset, length),
  };
}
