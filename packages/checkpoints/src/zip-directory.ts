/**
 * The directory of a zip archive, as PKWARE's APPNOTE describes it (sections 4.3.12 to 4.3.16), with the 64-bit records
 * that PyTorch always writes. Nothing is ever unpacked to disk.
 */
import type { ByteSource } from "./byte-source.js";
import { ZipError, type ZipFault } from "./zip-error.js";

/** Twenty times the storages of a ViT-L/14 with its optimiser. */
const MAX_ENTRIES = 50_000;

/** `MAX_ENTRIES` with names of 100 bytes and room for extra fields. */
const MAX_DIRECTORY_BYTES = 16 * 1024 * 1024;

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 65_535;
const END64_LOCATOR_SIGNATURE = 0x07064b50;
const END64_LOCATOR_BYTES = 20;
const END64_SIGNATURE = 0x06064b50;
const END64_BYTES = 56;
const RECORD_SIGNATURE = 0x02014b50;
const RECORD_BYTES = 46;

/** Bytes before the name in the header of an entry. */
export const LOCAL_HEADER_BYTES = 30;

/** A field of 32 bits that says: see the 64-bit record. */
const SEE_64 = 0xffffffff;
const EXTRA_64 = 0x0001;

const ENCRYPTED = 0x0001;

const DAMAGED = "the file is damaged or incomplete: get it again, or save it again";

export interface ZipEntry {
  readonly name: string;
  /** 0 stored, 8 deflated. */
  readonly method: number;
  /** In bytes: as they lie in the file, and unpacked. */
  readonly packedSize: number;
  readonly size: number;
  readonly headerOffset: number;
  /** Its header, name and data end before here. */
  readonly limit: number;
}

/** By name, in the order of their data. */
export type ZipEntries = ReadonlyMap<string, ZipEntry>;

export function zipError(fault: ZipFault, where: string, got: string, expected: string, next = DAMAGED): ZipError {
  return new ZipError(fault, { where, got, expected, next });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const uint64 = (view: DataView, at: number): number => Number(view.getBigUint64(at, true));

interface Directory {
  readonly entries: number;
  readonly offset: number;
  readonly size: number;
  /** Where the records after the directory begin. */
  readonly end: number;
}

/** Where the 64-bit record is, if there is one: its locator lies right before the end record. */
async function readEnd64(source: ByteSource, endOffset: number, where: string): Promise<Directory | null> {
  const locatorOffset = endOffset - END64_LOCATOR_BYTES;
  if (locatorOffset < 0) return null;
  const locator = viewOf(await source.read(locatorOffset, END64_LOCATOR_BYTES));
  if (locator.getUint32(0, true) !== END64_LOCATOR_SIGNATURE) return null;
  const end = uint64(locator, 8);
  const bad = zipError("bad-directory", where, "a 64-bit end record that is not where its locator says", "one");
  if (end > locatorOffset - END64_BYTES) throw bad;
  const record = viewOf(await source.read(end, END64_BYTES));
  if (record.getUint32(0, true) !== END64_SIGNATURE) throw bad;
  return { entries: uint64(record, 32), size: uint64(record, 40), offset: uint64(record, 48), end };
}

async function findDirectory(source: ByteSource, where: string): Promise<Directory> {
  const tailSize = Math.min(source.size, END_BYTES + MAX_COMMENT_BYTES);
  const tail = viewOf(await source.read(source.size - tailSize, tailSize));
  for (let at = tailSize - END_BYTES; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END_SIGNATURE || tail.getUint16(at + 20, true) !== tailSize - END_BYTES - at) continue;
    const end = source.size - tailSize + at;
    const wide = await readEnd64(source, end, where);
    return wide ?? { entries: tail.getUint16(at + 10, true), size: tail.getUint32(at + 12, true), offset: tail.getUint32(at + 16, true), end };
  }
  throw zipError("truncated", where, "a zip archive whose directory is missing from its end", "a whole archive: the directory is written last");
}

/** Sizes and offset of a record; 64-bit values stand in an extra field, in this order, for the fields that say so. */
function sizesOf(record: DataView, extra: DataView, where: string): { size: number; packedSize: number; headerOffset: number } {
  const fields = { size: record.getUint32(24, true), packedSize: record.getUint32(20, true), headerOffset: record.getUint32(42, true) };
  const wide = (Object.keys(fields) as (keyof typeof fields)[]).filter((field) => fields[field] === SEE_64);
  if (wide.length === 0) return fields;
  for (let at = 0; at + 4 <= extra.byteLength;) {
    const length = extra.getUint16(at + 2, true);
    if (extra.getUint16(at, true) === EXTRA_64 && length >= 8 * wide.length && at + 4 + length <= extra.byteLength) {
      wide.forEach((field, index) => { fields[field] = uint64(extra, at + 4 + 8 * index); });
      return fields;
    }
    at += 4 + length;
  }
  throw zipError("bad-directory", where, "an entry that lacks its 64-bit sizes", "sizes");
}

function decodeName(bytes: Uint8Array, where: string): string {
  let name: string;
  try {
    name = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw zipError("unsafe-name", where, "an entry whose name is not UTF-8", "names in UTF-8");
  }
  // Nothing is unpacked, so no name can do harm here; it could to the next program that gets the file.
  if (/^[/\\]|^[A-Za-z]:|\\|\0|(^|\/)\.\.(\/|$)/.test(name)) {
    throw zipError("unsafe-name", where, `an entry named ${JSON.stringify(name.slice(0, 80))}`, "names inside a folder", "do not unpack this archive: it was made to write outside its folder");
  }
  return name;
}

function parseRecord(bytes: Uint8Array, at: number, where: string): { entry: ZipEntry; next: number } {
  const record = viewOf(bytes.subarray(at));
  const broken = zipError("bad-directory", where, `a broken record at byte ${at} of the directory`, "a record for each entry");
  if (record.byteLength < RECORD_BYTES || record.getUint32(0, true) !== RECORD_SIGNATURE) throw broken;
  const nameLength = record.getUint16(28, true);
  const extraLength = record.getUint16(30, true);
  const length = RECORD_BYTES + nameLength + extraLength + record.getUint16(32, true);
  if (length > record.byteLength) throw broken;
  const name = decodeName(bytes.subarray(at + RECORD_BYTES, at + RECORD_BYTES + nameLength), where);
  const extraStart = at + RECORD_BYTES + nameLength;
  const sizes = sizesOf(record, viewOf(bytes.subarray(extraStart, extraStart + extraLength)), `${where}: entry "${name}"`);
  if ((record.getUint16(8, true) & ENCRYPTED) !== 0) throw zipError("unsupported", `${where}: entry "${name}"`, "an encrypted entry", "one that can be read");
  const method = record.getUint16(10, true);
  if (method === 0 && sizes.size !== sizes.packedSize) {
    throw zipError("bad-directory", `${where}: entry "${name}"`, `${sizes.packedSize} stored bytes for ${sizes.size}`, "as many stored bytes as the entry has");
  }
  return { entry: { name, method, ...sizes, limit: 0 }, next: at + length };
}

/** Entries in the order of the file, none reaching into the next or into the directory. */
function withLimits(entries: readonly ZipEntry[], directoryOffset: number, where: string): ZipEntry[] {
  const order = [...entries].sort((a, b) => a.headerOffset - b.headerOffset);
  return order.map((entry, index) => {
    const next = order[index + 1];
    const limit = next?.headerOffset ?? directoryOffset;
    const end = entry.headerOffset + LOCAL_HEADER_BYTES + new TextEncoder().encode(entry.name).byteLength + entry.packedSize;
    if (end <= limit) return { ...entry, limit };
    const at = `${where}: entry "${entry.name}"`;
    if (next === undefined || end > directoryOffset) throw zipError("past-the-end", at, `data up to byte ${end}`, `data before the directory at byte ${directoryOffset}`);
    throw zipError("overlapping-entries", at, `data up to byte ${end}, where "${next.name}" begins at ${limit}`, "entries that do not overlap");
  });
}

/**
 * Reads the directory of a zip archive; of the data nothing.
 * @param where name of the file, for messages.
 * @throws ZipError
 */
export async function readZipDirectory(source: ByteSource, where: string): Promise<ZipEntries> {
  const directory = await findDirectory(source, where);
  if (directory.entries > MAX_ENTRIES || directory.size > MAX_DIRECTORY_BYTES) {
    throw zipError("over-limit", where, `${directory.entries} entries, a directory of ${directory.size} bytes`, `at most ${MAX_ENTRIES} entries and ${MAX_DIRECTORY_BYTES} bytes`);
  }
  if (directory.offset + directory.size > directory.end) {
    throw zipError("bad-directory", where, `a directory from byte ${directory.offset} of ${directory.size} bytes`, `one that ends before byte ${directory.end}`);
  }
  const bytes = await source.read(directory.offset, directory.size);
  const entries: ZipEntry[] = [];
  const names = new Set<string>();
  let at = 0;
  for (let index = 0; index < directory.entries; index++) {
    const { entry, next } = parseRecord(bytes, at, where);
    at = next;
    if (names.has(entry.name)) throw zipError("duplicate-name", where, `two entries named "${entry.name}"`, "every name once");
    names.add(entry.name);
    entries.push(entry);
  }
  if (at !== directory.size) throw zipError("bad-directory", where, `${directory.size - at} bytes after the last record of the directory`, "a record for each entry");
  return new Map(withLimits(entries, directory.offset, where).map((entry) => [entry.name, entry]));
}
