/** Small files with which nothing is wrong, from which the others are made. */
import { dict, integer, join, pickle, rowMajor, storage, tensor, text } from "../../bench/pickle-pieces.mjs";
import { zip, type ZipPart } from "../../bench/zip-pieces.mjs";

export const float32 = (...values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);

/** Two floats in storage "0". */
export const PAIR = tensor(storage("0", 2), [2], rowMajor([2]));

/** A dict with one good tensor, and what is to be tried beside it. */
export const beside = (...pieces: Parameters<typeof join>): Buffer => pickle(dict([["good", PAIR], ["bad", join(...pieces)]]));

export interface ArchiveParts {
  readonly pickle?: Buffer;
  readonly storages?: Readonly<Record<string, Buffer>>;
  readonly more?: readonly ZipPart[];
}

/** The entries of an archive of PyTorch's. */
export function entries({ pickle: root = pickle(dict([["good", PAIR]])), storages = { 0: float32(1, 2) }, more = [] }: ArchiveParts = {}): ZipPart[] {
  const data = Object.entries(storages).map(([key, bytes]) => ({ name: `archive/data/${key}`, data: bytes }));
  return [{ name: "archive/data.pkl", data: root }, { name: "archive/byteorder", data: Buffer.from("little") }, ...data, ...more, { name: "archive/version", data: Buffer.from("3\n") }];
}

export const archive = (parts?: ArchiveParts): Buffer => zip(entries(parts));

/** An archive whose pickle is this. */
export const archiveOf = (root: Buffer): Buffer => archive({ pickle: root });

export interface LegacyParts {
  readonly version?: Buffer;
  readonly machine?: Buffer;
  readonly root?: Buffer;
  readonly keys?: Buffer;
  readonly tail?: Buffer;
}

const count = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
};

/** A storage as it stands in an old file. */
export const legacyStorage = (data: Buffer, length = BigInt(data.length / 4)): Buffer => Buffer.concat([count(length), data]);

const LITTLE = pickle(dict([["little_endian", "\x88"]]));
const MAGIC = Buffer.from([0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]);

export const legacyPair = (length: number | Buffer = 2, shape = [2]): Buffer => tensor(storage("7", length, { legacy: true }), shape, rowMajor(shape));

/** A file in PyTorch's old format. */
export function legacy({
  version = pickle(integer(1001)),
  machine = LITTLE,
  root = pickle(dict([["good", legacyPair()]])),
  keys = pickle("](", text("7"), "e"),
  tail = legacyStorage(float32(1, 2)),
}: LegacyParts = {}): Buffer {
  return Buffer.concat([MAGIC, version, machine, root, keys, tail]);
}
