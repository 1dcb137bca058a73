import { dict, integer, join, named, orderedDict, pickle, rowMajor, storage, tensor, text, tuple } from "../../bench/pickle-pieces.mjs";
import { archiveOf, beside, PAIR } from "./good-files.js";
import { hostile, type HostileFile } from "./hostile-file.js";

const bad = hostile("PickleError");
const torch = hostile("TorchError");

type Pieces = Parameters<typeof join>;

/** Beside a good tensor, so that nothing else is wrong with the file. */
const inDict = (...pieces: Pieces): (() => Buffer) => () => archiveOf(beside(...pieces));

/** The file's root. */
const root = (...pieces: Pieces): (() => Buffer) => () => archiveOf(pickle(...pieces));

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const SHELL = text("touch /tmp/attacked");

const calls: readonly (readonly [string, string, string])[] = [
  ["os", "system", "os.system"],
  ["posix", "system", "posix.system"],
  ["nt", "system", "nt.system"],
  ["builtins", "eval", "builtins.eval"],
  ["__builtin__", "exec", "exec of Python 2"],
  ["subprocess", "Popen", "subprocess.Popen"],
  ["importlib", "import_module", "importlib.import_module"],
  ["runpy", "run_path", "runpy.run_path"],
  ["torch", "load", "torch.load"],
  ["webbrowser", "open", "webbrowser.open"],
  ["multiprocessing.util", "spawnv_passfds", "multiprocessing.util.spawnv_passfds"],
];

const FORBIDDEN: readonly HostileFile[] = [
  ...calls.map(([module, name, title]) => bad("forbidden-global", `a call of ${title}`, inDict(named(module, name), tuple(SHELL), "R"))),
  bad("forbidden-global", "os.system as the root", root(named("os", "system"), tuple(SHELL), "R")),
  bad("forbidden-global", "os.system named and not called", inDict(named("os", "system"))),
  bad("forbidden-global", "os.system named from the stack", inDict(text("os"), text("system"), "\x93", tuple(SHELL), "R")),
  bad("forbidden-global", "os.system by INST", inDict("(", SHELL, "ios\nsystem\n")),
  bad("forbidden-global", "os.system by OBJ", inDict("(", named("os", "system"), SHELL, "o")),
  bad("forbidden-global", "os.system by NEWOBJ", inDict(named("os", "system"), tuple(SHELL), "\x81")),
  bad("forbidden-global", "os.system by NEWOBJ_EX", inDict(named("os", "system"), tuple(SHELL), "}\x92")),
  bad("forbidden-global", "os.system that is thrown away at once", inDict(named("os", "system"), tuple(SHELL), "R0N")),
];

const STRUCTURE: readonly HostileFile[] = [
  bad("bad-call", "a call of a text", inDict(SHELL, tuple(SHELL), "R")),
  bad("bad-call", "a call of a dict", inDict("}", tuple(SHELL), "R")),
  bad("bad-call", "a call of a number", inDict(integer(1), ")R")),
  bad("bad-call", "a call whose arguments are a text", inDict(named("collections", "OrderedDict"), SHELL, "R")),
  bad("bad-call", "an ordered dict made of numbers", inDict(named("collections", "OrderedDict"), tuple(integer(1)), "R")),
  bad("bad-stack", "a state for a number", inDict(integer(1), "}b")),
  bad("bad-stack", "an item for a text", inDict(SHELL, integer(1), "a")),
  bad("bad-stack", "a key for a list", inDict("]", SHELL, integer(1), "s")),
  bad("bad-stack", "a key without a value", inDict("}(", SHELL, "u")),
  bad("bad-stack", "a STOP on an empty stack", root()),
  bad("bad-stack", "a POP of nothing", root("0")),
  bad("bad-stack", "a tuple without a mark", root(integer(1), "t")),
  bad("bad-stack", "a global whose name is a number", root(integer(1), integer(2), "\x93")),
  bad("bad-memo", "a memo entry that was never written", inDict("h\x09")),
  bad("bad-memo", "a memo entry by a negative number", inDict("g-1\n")),
  bad("over-limit", "memo entry 2³² − 1", inDict("Nr", uint32(0xffffffff))),
  bad("unknown-operation", "byte 0xff for an operation", inDict(Buffer.of(0xff))),
  bad("unknown-operation", "an extension code", inDict(Buffer.of(0x82, 1))),
  bad("unknown-operation", "a buffer beside the pickle", inDict(Buffer.of(0x97))),
  bad("truncated", "an empty pickle", () => archiveOf(Buffer.alloc(0))),
  bad("truncated", "a pickle without its STOP", () => archiveOf(beside("N").subarray(0, -1))),
  bad("truncated", "a text of 2³² − 1 bytes", inDict("X", uint32(0xffffffff))),
  bad("truncated", "a text of 2⁶³ bytes", inDict("\x8d\0\0\0\0\0\0\0\x80")),
  bad("truncated", "a byte string of 2⁶⁴ − 1 bytes", inDict("\x8e\xff\xff\xff\xff\xff\xff\xff\xff")),
  bad("truncated", "a line without an end", root("Iabc")),
  bad("over-limit", "an integer of 100,000 bytes", inDict("\x8b", uint32(100_000), Buffer.alloc(100_000, 1))),
  bad("bad-number", "letters for an integer", inDict("Ifour\n")),
  bad("bad-number", "a million digits", inDict(`L${"9".repeat(60_000)}L\n`)),
  bad("bad-number", "letters for a number", inDict("Ffour\n")),
  bad("not-utf8", "a text that is not UTF-8", inDict("X", uint32(2), Buffer.of(0xff, 0xfe))),
  bad("duplicate-key", "a key twice in one dict", root(dict([["w", PAIR], ["w", "N"]]))),
  bad("over-limit", "10⁶ nested tuples", root(")", Buffer.alloc(1_000_000, 0x85))),
  bad("over-limit", "10⁶ nested lists", root(Buffer.alloc(1_000_000, "]"), Buffer.alloc(999_999, "a"))),
  bad("over-limit", "10⁶ empty dicts", root("(", Buffer.alloc(1_000_000, "}"), "l")),
  bad("over-limit", "3 · 10⁶ operations", root(Buffer.alloc(3_000_000, "N"))),
  bad("over-limit", "3 · 10⁶ marks", root(Buffer.alloc(3_000_000, "("))),
  torch("over-limit", "100,000 nested lists", root(Buffer.alloc(100_000, "]"), Buffer.alloc(99_999, "a"))),
  torch("over-limit", "a hundred nested dicts", root(...Array.from({ length: 100 }, () => ["}", text("d")]), PAIR, Buffer.alloc(100, "s"))),
  torch("over-limit", "2³⁰ values spelt out by thirty dicts that share their parts", root(
    PAIR, "q\x01", ...Array.from({ length: 30 }, () => ["}(", text("a"), "h\x01", text("b"), "h\x01", "uq\x01"]), "h\x01",
  )),
  torch("cycle", "a dict that contains itself", root("}q\x01", text("w"), PAIR, "s", text("self"), "h\x01s")),
  torch("cycle", "a list that contains itself", root("]q\x01", PAIR, "ah\x01a")),
  torch("cycle", "a tuple that contains itself through a list", root("]q\x01(", "h\x01", PAIR, "tah\x01")),
  torch("cycle", "a module that contains itself", root(
    named("torch.nn", "Module"), ")\x81q\x01",
    dict([["_parameters", orderedDict([["w", PAIR]])], ["_modules", orderedDict([["self", "h\x01"]])]]), "b",
  )),
  torch("no-tensors", "a dict without tensors", root(dict([["epoch", integer(3)]]))),
  torch("no-tensors", "an object of an unknown class", root(named("my.package", "Thing"), ")\x81")),
  torch("duplicate-name", "two tensors with one name", root(dict([["a.b", PAIR], ["a", dict([["b", PAIR]])]]))),
];

const shaped = (shape: readonly number[] | Buffer, strides: readonly number[] | Buffer, offset: number | Buffer = 0): (() => Buffer) => inDict(tensor(storage("0", 2), shape, strides, offset));
const stored = (reference: Buffer): (() => Buffer) => inDict(tensor(reference, [2], [1]));
const huge = (value: bigint): Buffer => join("\x8a\x10", (() => {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(value, 0);
  return bytes;
})());

const TENSORS: readonly HostileFile[] = [
  torch("bad-tensor", "a negative shape", shaped([-2], [1])),
  torch("bad-tensor", "a shape of 2⁶³", shaped(tuple(huge(2n ** 63n)), [1])),
  torch("bad-tensor", "extents whose product overflows", shaped([2 ** 40, 2 ** 40], [0, 0])),
  torch("bad-tensor", "a shape that is no number", shaped(tuple(text("2")), [1])),
  torch("bad-tensor", "a shape that is no tuple", shaped(integer(2), [1])),
  torch("bad-tensor", "a hundred axes", shaped(new Array<number>(100).fill(1), new Array<number>(100).fill(1))),
  torch("bad-tensor", "more strides than extents", shaped([2], [1, 1])),
  torch("bad-tensor", "a negative stride", shaped([2], [-1])),
  torch("bad-tensor", "a negative offset", shaped([2], [1], -1)),
  torch("bad-tensor", "a parameter made of a parameter", inDict(
    named("torch._utils", "_rebuild_parameter"), tuple(join(named("torch._utils", "_rebuild_parameter"), tuple(PAIR, "\x88", "N"), "R"), "\x88", "N"), "R",
  )),
  torch("outside-storage", "strides that leave the storage", shaped([2], [2 ** 40])),
  torch("outside-storage", "more elements than the storage", shaped([3], [1])),
  torch("outside-storage", "an offset past the end", shaped([1], [1], 2)),
  torch("outside-storage", "an offset of 2⁵³ − 1", shaped([1], [1], 2 ** 53 - 1)),
  torch("expanded", "a tensor of 4 TB that repeats two numbers", shaped([2 ** 20, 2 ** 20], [0, 0])),
  torch("bad-storage", "a tensor without a storage", inDict(tensor(text("storage"), [2], [1]))),
  torch("bad-storage", "a reference to something else than a storage", stored(join(tuple(text("module"), text("x")), "Q"))),
  torch("bad-storage", "a storage by a path", stored(join("P../../etc/passwd\n"))),
  torch("bad-storage", "a storage of no class of PyTorch's", stored(join(tuple(text("storage"), named("my.package", "FloatStorage"), text("0"), text("cpu"), integer(2)), "Q"))),
  torch("bad-storage", "a storage of −1 elements", stored(storage("0", -1))),
  torch("bad-storage", "a storage whose key is a number", stored(join(tuple(text("storage"), named("torch", "FloatStorage"), integer(0), text("cpu"), integer(2)), "Q"))),
  torch("missing-storage", "a storage whose key leads out of the archive", stored(storage("../../../etc/passwd", 2))),
  torch("storage-size", "a storage of 2⁵⁰ elements", stored(storage("0", 2 ** 50))),
  torch("unknown-dtype", "a storage of quantised numbers", stored(storage("0", 2, { type: "QInt8Storage" }))),
  torch("unknown-dtype", "a storage of a type that every object has", stored(storage("0", 2, { type: "toString" }))),
  torch("unknown-dtype", "a tensor of an unknown type", inDict(
    named("torch._utils", "_rebuild_tensor_v3"),
    tuple(storage("0", 8, { type: "UntypedStorage" }), integer(0), tuple(integer(2)), tuple(integer(1)), "\x89", "N", named("torch", "float8_e4m3fn")), "R",
  )),
  torch("expanded", "a large tensor of stride 0", () => archiveOf(pickle(tensor(storage("0", 2), [100_000, 1_000], rowMajor([1, 1]).map(() => 0))))),
];

export const HOSTILE_PICKLES: readonly HostileFile[] = [...FORBIDDEN, ...STRUCTURE, ...TENSORS];
