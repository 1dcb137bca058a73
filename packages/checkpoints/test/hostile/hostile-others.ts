import { dict, integer, join, named, pickle, text, tuple } from "../../bench/pickle-pieces.mjs";
import { rawFile } from "../raw-safetensors.js";
import { archive, float32, legacy, legacyPair, legacyStorage } from "./good-files.js";
import { hostile, type HostileFile } from "./hostile-file.js";

const torch = hostile("TorchError");
const pickled = hostile("PickleError");
const tensors = hostile("SafetensorsError");
const other = hostile("InputError");

const MEGABYTE = 1_000_000;

/** Of the old format. */
const LEGACY: readonly HostileFile[] = [
  torch("unknown-version", "an old file of version 1000", () => legacy({ version: pickle(integer(1000)) })),
  torch("big-endian", "an old file of a big-endian machine", () => legacy({ machine: pickle(dict([["little_endian", "\x89"]])) })),
  torch("big-endian", "an old file that does not say what machine made it", () => legacy({ machine: pickle("N") })),
  torch("bad-storage", "an old file whose keys are numbers", () => legacy({ keys: pickle("](", integer(7), "e") })),
  torch("missing-storage", "an old file without its storage's key", () => legacy({ keys: pickle("]") })),
  torch("bad-storage", "an old file with a storage that nothing refers to", () => legacy({ keys: pickle("](", text("7"), text("8"), "e") })),
  torch("storage-size", "an old file with a storage of 2⁶² elements", () => legacy({ tail: legacyStorage(float32(1, 2), 2n ** 62n) })),
  torch("storage-size", "an old file with a storage of −1 elements", () => legacy({ tail: legacyStorage(float32(1, 2), -1n) })),
  torch("storage-size", "an old file with one storage of two lengths", () => legacy({ root: pickle(dict([["a", legacyPair()], ["b", legacyPair(1, [1])]])) })),
  torch("truncated", "an old file cut before its storage", () => legacy({ tail: Buffer.alloc(0) })),
  torch("truncated", "an old file cut within its storage", () => legacy({ tail: legacyStorage(float32(1, 2)).subarray(0, -1) })),
  torch("bad-storage", "an old file that refers to something else than a storage", () => legacy({ root: pickle(dict([["a", legacyPair()], ["b", join(tuple(text("thing")), "Q")]])) })),
  pickled("forbidden-global", "an old file that calls os.system", () => legacy({ root: pickle(named("os", "system"), tuple(text("x")), "R") })),
  pickled("forbidden-global", "an old file that calls os.system in what it says of its machine", () => legacy({ machine: pickle(named("os", "system"), tuple(text("x")), "R") })),
  pickled("truncated", "an old file that ends after its magic number", () => legacy().subarray(0, 15)),
];

const header = (json: string): Uint8Array => rawFile(json);

const SAFETENSORS: readonly HostileFile[] = [
  other("", "a header of 2⁶³ bytes", () => rawFile("{}", 0, 2n ** 63n)),
  other("", "a header length in big-endian order", () => rawFile("{}", 0, 2n << 56n)),
  tensors("header-over-limit", "a header of 2³⁹ bytes", () => rawFile("{}", 0, 2n ** 39n)),
  tensors("header-over-limit", "a header of 10⁶ nested lists", () => header(`{"x":${"[".repeat(MEGABYTE)}`)),
  tensors("header-over-limit", "a header of 10⁶ empty tensors", () => header(`{"a":0${",{}".repeat(MEGABYTE)}}`)),
  tensors("header-over-limit", "a header of 11 MB", () => header(`{"x":{"shape":[1${",1".repeat(5.5 * MEGABYTE)}]}}`)),
  tensors("duplicate-name", "a tensor named twice", () => header('{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}')),
  tensors("header-not-utf8", "a header that is not UTF-8", () => rawFile(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d))),
  tensors("header-not-json-object", "a text of 9 MB that never ends", () => header(`{"${"x".repeat(9 * MEGABYTE)}`)),
  tensors("bad-shape", "a negative extent", () => header('{"x":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}')),
  tensors("bad-shape", "an extent of 2⁶³", () => header('{"x":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,0]}}')),
  tensors("size-mismatch", "10⁶ axes of extent 1 and no data", () => header(`{"x":{"dtype":"U8","shape":[1${",1".repeat(MEGABYTE)}],"data_offsets":[0,0]}}`)),
];

const plain = (value: string): (() => Uint8Array) => () => Buffer.from(value);

const OTHERS: readonly HostileFile[] = [
  other("", "an empty file", () => new Uint8Array(0)),
  other("", "a text", plain("These are not weights.\n")),
  other("", "a web page", plain("<!DOCTYPE html><title>404</title>")),
  other("", "the pointer of a file that was not downloaded", plain("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")),
  other("", "a picture", () => Buffer.from("89504e470d0a1a0a", "hex")),
  other("", "zeros", () => new Uint8Array(4096)),
  other("", "an archive with another first byte", () => archive().fill(0x51, 0, 1)),
  other("", "a pickle that calls os.system", () => pickle(named("os", "system"), tuple(text("x")), "R")),
  other("", "a pickle of the oldest protocol", plain("cos\nsystem\n(S'x'\ntR.")),
  other("", "a JSON document of 10⁶ nested lists", plain("[".repeat(MEGABYTE))),
  other("", "a JSON document of 10⁷ empty objects", plain(`[{}${",{}".repeat(10 * MEGABYTE)}]`)),
  other("", "an index that names files elsewhere", plain('{"weight_map":{"x":"../../etc/passwd.safetensors"}}')),
  other("", "an index that names an absolute path", plain('{"weight_map":{"x":"/etc/passwd.safetensors"}}')),
  other("", "an index of files that are not there", plain('{"weight_map":{"x":"model-00001-of-00002.safetensors"}}')),
  other("", "an index that names itself", plain('{"weight_map":{"x":"SELF","y":"none.safetensors"}}')),
  other("", "an index of nothing", plain('{"weight_map":{}}')),
  other("", "an index of a number", plain('{"weight_map":1}')),
  other("", "an index of 2,000 files", plain(JSON.stringify({ weight_map: Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`t${i}`, `${i}.safetensors`])) }))),
];

export const HOSTILE_OTHERS: readonly HostileFile[] = [...LEGACY, ...SAFETENSORS, ...OTHERS];
