import { ELEMENT_BYTES, widen, type ElementType, type HostTensor } from "@atlas-tv/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dict, integer, join, module, named, orderedDict, pickle, rowMajor, storage, tensor, text, tuple } from "../bench/pickle-pieces.mjs";
import { deflated, zip } from "../bench/zip-pieces.mjs";
import { loadBase, memorySource, openTensors, taskVectorFromCheckpoints, type OpenedTensors } from "../src/index.js";
import { archive, archiveOf, entries, float32, legacy, legacyStorage, PAIR } from "./hostile/good-files.js";
import { tinyVit } from "./tiny-spec.js";

const open = (bytes: Uint8Array): Promise<OpenedTensors> => openTensors(memorySource(bytes), "file");

async function floats({ tensors }: OpenedTensors, name: string): Promise<number[]> {
  return [...new Float32Array((await tensors.get(name)!.bytes()).buffer)];
}

describe("element types", () => {
  const types: readonly [string, ElementType][] = [
    ["DoubleStorage", "F64"], ["FloatStorage", "F32"], ["HalfStorage", "F16"], ["BFloat16Storage", "BF16"], ["LongStorage", "I64"],
    ["IntStorage", "I32"], ["ShortStorage", "I16"], ["CharStorage", "I8"], ["ByteStorage", "U8"], ["BoolStorage", "BOOL"],
  ];

  test.each(types)("%s holds %s", async (type, dtype) => {
    const bytes = Buffer.from(Array.from({ length: 3 * ELEMENT_BYTES[dtype] }, (_, i) => i + 1));
    const file = await open(archive({ pickle: pickle(tensor(storage("0", 3, { type }), [3], [1])), storages: { 0: bytes } }));
    const found = file.tensors.get("tensor")!;
    expect(found).toMatchObject({ dtype, shape: [3] });
    expect(Buffer.from(await found.bytes()).equals(bytes)).toBe(true);
  });

  test("an untyped storage has the type that its tensor names", async () => {
    const args = tuple(storage("0", 8, { type: "UntypedStorage" }), integer(1), tuple(integer(1)), tuple(integer(1)), "\x89", "N", named("torch", "float32"));
    expect(await floats(await open(archiveOf(pickle(named("torch._utils", "_rebuild_tensor_v3"), args, "R"))), "tensor")).toEqual([2]);
  });

  test("device tags play no part", async () => {
    const onGpu = join(tuple(text("storage"), named("torch.cuda", "FloatStorage"), text("0"), text("cuda:3"), integer(2)), "Q");
    expect(await floats(await open(archiveOf(pickle(tensor(onGpu, [2], [1])))), "tensor")).toEqual([1, 2]);
  });
});

describe("tensors in storages", () => {
  const six = { storages: { 0: float32(1, 2, 3, 4, 5, 6) } };
  const inSix = (shape: number[], strides: number[], offset = 0): Buffer => tensor(storage("0", 6), shape, strides, offset);

  test.each([
    ["a transposed matrix", inSix([3, 2], [1, 3]), [1, 4, 2, 5, 3, 6]],
    ["every second element", inSix([3], [2], 1), [2, 4, 6]],
    ["a column", inSix([2, 1], [3, 1], 2), [3, 6]],
    ["a repeated row", inSix([2, 3], [0, 1]), [1, 2, 3, 1, 2, 3]],
    ["a scalar", inSix([], [], 4), [5]],
    ["an empty tensor", inSix([0, 3], [3, 1], 6), []],
  ])("%s comes in row-major order", async (_title, root, values) => {
    expect(await floats(await open(archive({ pickle: pickle(root), ...six })), "tensor")).toEqual(values);
  });

  test("several tensors share a storage", async () => {
    const file = await open(archive({ pickle: pickle(dict([["rows", inSix([2, 3], [3, 1])], ["last", inSix([1], [1], 5)]])), ...six }));
    expect(await floats(file, "rows")).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await floats(file, "last")).toEqual([6]);
  });

  test("any axes in any order are those of the definition of strides", async () => {
    const axes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
    await fc.assert(fc.asyncProperty(axes.chain((shape) => fc.tuple(fc.constant(shape), fc.shuffledSubarray(shape.map((_, axis) => axis), { minLength: shape.length }))), async ([stored, order]) => {
      const strides = rowMajor(stored);
      const count = stored.reduce((product, extent) => product * extent, 1);
      const [shape, permuted] = [order.map((axis) => stored[axis]!), order.map((axis) => strides[axis]!)];
      const root = pickle(tensor(storage("0", count), shape, permuted));
      const file = await open(archive({ pickle: root, storages: { 0: float32(...Array.from({ length: count }, (_, i) => i)) } }));
      const offsets = shape.reduce<number[]>((all, extent, axis) => all.flatMap((offset) => Array.from({ length: extent }, (_, i) => offset + i * permuted[axis]!)), [0]);
      expect(await floats(file, "tensor")).toEqual(offsets);
    }), { numRuns: 200 });
  });
});

describe("what was saved", () => {
  test("dicts and lists are flattened, with what lies beside the tensors as metadata", async () => {
    const root = dict([["model", dict([["layers", join("](", PAIR, PAIR, "e")], ["scale", PAIR]])], ["epoch", integer(3)], ["name", text("ViT-B-32")], ["args", join(named("argparse", "Namespace"), ")\x81")]]);
    const file = await open(archiveOf(pickle(root)));
    expect(file.names).toEqual(["model.layers.0", "model.layers.1", "model.scale"]);
    expect(file.metadata).toEqual({ epoch: "3", name: "ViT-B-32" });
    expect(file.description).toBe("a dict of 3 tensors that PyTorch saved");
  });

  test("a module has the names of its state dict, without buffers that do not last", async () => {
    const buffers = (names: string[]): [string, Buffer][] => [["_non_persistent_buffers_set", join(named("builtins", "set"), tuple(join("](", ...names.map(text), "e")), "R")]];
    const inner = module("torch.nn.modules.linear.Linear", { parameters: [["weight", PAIR], ["bias", Buffer.from("N")]] });
    const outer = join(
      named("src.modeling", "ImageEncoder"), ")\x81",
      dict([
        ["_parameters", orderedDict([["scale", PAIR]])],
        ["_buffers", orderedDict([["mask", PAIR], ["mean", PAIR]])],
        ...buffers(["mask"]),
        ["_modules", orderedDict([["proj", inner], ["nothing", Buffer.from("N")]])],
        ["cache", PAIR],
      ]), "b",
    );
    const file = await open(archiveOf(pickle(outer)));
    expect(file.names).toEqual(["scale", "mean", "proj.weight"]);
    expect(file.module).toEqual({ className: "src.modeling.ImageEncoder", heads: { visual: null, text: null }, quickGelu: null });
  });

  test("an old file refers to classes with their source code, and may hold storages of buffers that do not last", async () => {
    const old = (key: string): Buffer => tensor(storage(key, 2, { legacy: true }), [2], [1]);
    const byClass = join(tuple(text("module"), named("torch.nn", "Linear"), text("linear.py"), text("class Linear: ...")), "Q");
    const root = join(byClass, ")\x81", dict([
      ["_parameters", orderedDict([["weight", old("7")]])],
      ["_buffers", orderedDict([["mask", old("8")]])],
      ["_non_persistent_buffers_set", join(named("builtins", "set"), tuple(join("](", text("mask"), "e")), "R")],
      ["_modules", orderedDict([])],
    ]), "b");
    const keys = pickle("](", text("8"), text("7"), "e");
    const file = await open(legacy({ root: pickle(root), keys, tail: Buffer.concat([legacyStorage(float32(9, 9)), legacyStorage(float32(1, 2))]) }));
    expect(file).toMatchObject({ format: "pytorch-legacy", names: ["weight"], module: { className: "torch.nn.Linear" } });
    expect(await floats(file, "weight")).toEqual([1, 2]);
  });

  test("pickles longer than what is read at first are read on", async () => {
    const many = Array.from({ length: 4_000 }, (_, i): [string, Buffer] => [`blocks.${i}.${"long".repeat(20)}`, tensor(storage("7", 2, { legacy: true }), [2], [1])]);
    const file = await open(legacy({ root: pickle(dict(many)) }));
    expect(file.names).toHaveLength(4_000);
  });
});

describe("archives", () => {
  test("that were packed again are unpacked", async () => {
    const values = float32(...Array.from({ length: 500 }, (_, i) => Math.sin(i)));
    const parts = entries({ pickle: pickle(tensor(storage("0", 500), [500], [1])), storages: { 0: values } });
    const file = await open(zip(parts.map(({ name, data }) => deflated(name, data))));
    expect(Buffer.from(await file.tensors.get("tensor")!.bytes()).equals(values)).toBe(true);
  });

  test("without a folder around them are read", async () => {
    expect((await open(zip(entries().map(({ name, data }) => ({ name: name.replace("archive/", ""), data }))))).names).toEqual(["good"]);
  });
});

describe("a linearised model", () => {
  const shapes = tinyVit.blocks.map(({ shape }) => shape);
  const size = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

  /** Lists of parameters with leftovers of the text tower around the image tower's, as the reference saves them. */
  function linear(trained: number, start: number): Buffer {
    const all = [[7, 5], [5, 3], [], ...shapes, [11, 5], [5], [5]];
    const storages: Record<string, Buffer> = {};
    const list = (part: string, value: number): [string, Buffer][] => all.map((shape, i) => {
      storages[`${part}${i}`] = float32(...new Array<number>(size(shape)).fill(value));
      return [`model.${part}.${i}`, tensor(storage(`${part}${i}`, size(shape)), [...shape], rowMajor(shape as number[]))];
    });
    const root = dict([...list("params", trained), ...list("params0", start), ["model_name", text("ViT-B-32")]]);
    return archive({ pickle: pickle(root), storages });
  }

  test("is named by the order of the model's blocks, its leftovers passed over", async () => {
    const { tensors, metadata } = await open(linear(3, 1));
    const base = await loadBase(tinyVit, tensors, "linear.pt");
    expect([...base.keys()]).toEqual(tinyVit.blocks.map(({ name }) => name));
    expect([...widen(base.get("visual.proj")!)]).toEqual(new Array(6).fill(3));
    expect(metadata).toEqual({ model_name: "ViT-B-32" });
  });

  test("gives the task vector params − params0, whatever the base", async () => {
    const { tensors } = await open(linear(3, 1));
    const blocks = new Map(tinyVit.blocks.map(({ name, shape }): [string, HostTensor] => [name, { dtype: "F32", shape, data: new Float32Array(size(shape)).fill(9) }]));
    const base = new Map([...blocks].map(([name, host]) => [name, { dtype: host.dtype, shape: host.shape, bytes: () => Promise.resolve(new Uint8Array(host.data.buffer)) }]));
    const vector = await taskVectorFromCheckpoints("Cars", tinyVit, base, tensors, "F32");
    for (const { name, shape } of tinyVit.blocks) expect([...widen(vector.blocks.get(name)!)], name).toEqual(new Array(size(shape)).fill(2));
  });

  test("of another model is refused", async () => {
    const { tensors } = await open(linear(3, 1));
    const other = { ...tinyVit, blocks: tinyVit.blocks.map((block) => (block.name === "visual.proj" ? { ...block, shape: [2, 4] } : block)) };
    await expect(loadBase(other, tensors, "linear.pt")).rejects.toThrow(/a linearised model of \d+ parameters/);
  });
});
