import { pickle, text } from "../../bench/pickle-pieces.mjs";
import { deflated, zip } from "../../bench/zip-pieces.mjs";
import { archive, archiveOf, entries, float32 } from "./good-files.js";
import { hostile, type HostileFile } from "./hostile-file.js";

const bad = hostile("ZipError");
const torch = hostile("TorchError");

const MIB = 1024 * 1024;

const STORAGE = "archive/data/0";

/** A good archive of which some bytes are others. */
function patched(at: (bytes: Buffer) => number, ...values: number[]): Buffer {
  const bytes = archive();
  Buffer.from(values).copy(bytes, at(bytes));
  return bytes;
}

const named = (name: string): Buffer => archive({ more: [{ name, data: Buffer.from("x") }] });

const end = (bytes: Buffer): number => bytes.length - 22;
const directory = (bytes: Buffer): number => bytes.readUInt32LE(end(bytes) + 16);

/** An archive whose end has the records for 64-bit sizes. */
function with64(count: bigint, size: bigint, offset: bigint, at?: bigint): Buffer {
  const bytes = archive();
  const wide = Buffer.alloc(56);
  wide.writeUInt32LE(0x06064b50, 0);
  wide.writeBigUInt64LE(count, 32);
  wide.writeBigUInt64LE(size, 40);
  wide.writeBigUInt64LE(offset, 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(at ?? BigInt(end(bytes)), 8);
  return Buffer.concat([bytes.subarray(0, end(bytes)), wide, locator, bytes.subarray(end(bytes))]);
}

/** The archive with the entry of storage "0" packed. */
const packed = (part: ReturnType<typeof deflated>): Buffer => zip(entries().map((entry) => (entry.name === part.name ? part : entry)));

export const HOSTILE_ZIPS: readonly HostileFile[] = [
  bad("truncated", "an archive without its end record", () => archive().subarray(0, end(archive()))),
  bad("truncated", "an archive cut within its directory", () => archive().subarray(0, directory(archive()) + 10)),
  bad("truncated", "an archive with bytes after its end", () => Buffer.concat([archive(), Buffer.alloc(3)])),
  bad("bad-directory", "a directory record with another signature", () => patched(directory, 0x50, 0x4b, 0x01, 0x03)),
  bad("bad-directory", "more entries announced than the directory has", () => zip(entries(), { entries: 40 })),
  bad("bad-directory", "fewer entries announced than the directory has", () => zip(entries(), { entries: 2 })),
  bad("bad-directory", "a directory that starts past the end", () => zip(entries(), { offset: 0x7fffffff })),
  bad("bad-directory", "a directory larger than the file", () => zip(entries(), { size: 1_000_000 })),
  bad("over-limit", "a directory of 4 GB", () => zip(entries(), { size: 0xfffffff0 })),
  bad("over-limit", "10⁹ entries announced", () => with64(10n ** 9n, 100n, 0n)),
  bad("over-limit", "2⁶³ bytes of directory", () => with64(1n, 2n ** 63n, 0n)),
  bad("bad-directory", "a directory at byte 2⁶⁴ − 1", () => with64(5n, 100n, 2n ** 64n - 1n)),
  bad("bad-directory", "a 64-bit end record past the end", () => with64(5n, 100n, 0n, 2n ** 62n)),
  bad("bad-directory", "a 64-bit size that is missing", () => zip(entries({ more: [{ name: "archive/x", data: Buffer.from("x"), said: { offset: 0xffffffff } }] }))),
  bad("bad-directory", "a stored entry of two sizes", () => zip(entries({ more: [{ name: "archive/x", data: Buffer.from("x"), said: { size: 9 } }] }))),
  bad("bad-entry", "an entry whose header has another signature", () => patched((bytes) => bytes.indexOf(STORAGE) - 30, 0x50, 0x4b, 0x03, 0x05)),
  bad("bad-entry", "an entry whose header has another name", () => patched(() => 30 + "archive/".length, 0x44)),
  bad("bad-entry", "a storage whose header is another entry's", () => zip(entries({ storages: {}, more: [{ name: "archive/data/1", data: float32(1, 2), said: { name: STORAGE } }] }))),
  bad("overlapping-entries", "two entries in the same place", () => zip(entries({ more: [{ name: "archive/data/1", data: float32(1, 2), said: { offset: 0 } }] }))),
  bad("overlapping-entries", "an entry that reaches into the next", () => zip(entries().map((entry) => (entry.name === STORAGE ? { ...entry, said: { size: 40, packedSize: 40 } } : entry)))),
  bad("overlapping-entries", "a header whose extra field pushes its data into the next entry", () => patched((bytes) => bytes.indexOf("archive/byteorder") - 2, 0xff, 0x00)),
  bad("past-the-end", "an entry past the end", () => zip(entries({ more: [{ name: "archive/x", data: Buffer.from("x"), said: { size: 1_000_000, packedSize: 1_000_000 } }] }))),
  bad("past-the-end", "an entry whose header lies past the end", () => zip(entries({ more: [{ name: "archive/x", data: Buffer.from("x"), said: { offset: 0x7fffffff } }] }))),
  bad("duplicate-name", "two entries with one name", () => named(STORAGE)),
  bad("unsafe-name", "a name that leads out of its folder", () => named("archive/../../../etc/passwd")),
  bad("unsafe-name", "an absolute name", () => named("/etc/passwd")),
  bad("unsafe-name", "a name with a drive", () => named("C:/Windows/system.ini")),
  bad("unsafe-name", "a name with backslashes", () => named("archive\\..\\..\\x")),
  bad("unsafe-name", "a name with a NUL", () => named("archive/data/0\0.txt")),
  bad("unsafe-name", "a name that is not UTF-8", () => zip(entries({ more: [{ name: "ab", data: Buffer.from("x"), said: { name: Buffer.of(0xff, 0xfe) } }] }))),
  bad("unsupported", "an encrypted entry", () => zip(entries({ more: [{ name: "archive/x", data: Buffer.from("x"), said: { flags: 1 } }] }))),
  bad("unsupported", "a storage packed by bzip2", () => packed({ name: STORAGE, data: float32(1, 2), method: 12 })),
  bad("bomb", "a pickle that unpacks to a thousand times its size", () => packed(deflated("archive/data.pkl", Buffer.alloc(20 * MIB)))),
  bad("bomb", "a storage that unpacks to a thousand times its size", () =>
    zip(entries({ storages: {} }).concat({ ...deflated(STORAGE, Buffer.alloc(8 * MIB)), said: { size: 8 } }))),
  bad("bad-data", "a pickle that unpacks to less than it announces", () => packed({ ...deflated("archive/data.pkl", pickle("N")), said: { size: 500 } })),
  bad("bad-data", "a packed pickle that cannot be unpacked", () => packed({ name: "archive/data.pkl", data: Buffer.alloc(50), packed: Buffer.from("garbage!"), method: 8 })),
  torch("no-pickle", "a zip archive of others", () => zip([{ name: "readme.txt", data: Buffer.from("hello") }])),
  torch("no-pickle", "an archive with two pickles", () => zip([...entries(), { name: "other/data.pkl", data: pickle("N") }])),
  torch("no-pickle", "an empty archive with PyTorch's first bytes", () => zip([{ name: "archive/version", data: Buffer.from("3\n") }])),
  torch("over-limit", "a pickle of 40 MB", () => archiveOf(Buffer.concat([pickle(text("x")).subarray(0, -1), Buffer.alloc(40 * MIB, "N")]))),
  torch("big-endian", "numbers in big-endian order", () => zip(entries().map((entry) => (entry.name === "archive/byteorder" ? { ...entry, data: Buffer.from("big") } : entry)))),
  torch("missing-storage", "a storage that is not there", () => archive({ storages: {} })),
  torch("storage-size", "a storage that is shorter than it says", () => archive({ storages: { 0: float32(1) } })),
  torch("storage-size", "a storage that is longer than it says", () => archive({ storages: { 0: float32(1, 2, 3) } })),
];
