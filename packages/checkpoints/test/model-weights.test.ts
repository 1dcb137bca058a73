import { float32ToFloat16, InputError, sizeOf, storedTensor, widen, type HostTensor, type StateDict, type StoredTensor } from "@atlas-tv/core";
import { describe, expect, test } from "vitest";
import { loadBase, loadTaskVector, taskVectorFromCheckpoints } from "../src/node.js";
import { tinyResNet, tinyVit } from "./tiny-spec.js";

const WHERE = "tiny.safetensors";

function f32(shape: readonly number[], fill: (index: number) => number): StoredTensor {
  return storedTensor({ dtype: "F32", shape, data: Float32Array.from({ length: sizeOf(shape) }, (_, index) => fill(index)) });
}

function dictOf(parts: readonly { name: string; shape: readonly number[] }[], fill: (index: number) => number = (index) => index): Map<string, StoredTensor> {
  return new Map(parts.map(({ name, shape }) => [name, f32(shape, fill)]));
}

async function messageOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(() => null, (caught: unknown) => caught);
  if (!(error instanceof InputError)) throw new Error(`expected an InputError, got ${String(error)}`);
  return error.message;
}

const blocks = tinyVit.blocks;

describe("a base model", () => {
  test("comes in the order of the spec, whatever the order of the file", async () => {
    const reversed = new Map([...dictOf(blocks)].reverse());
    expect([...(await loadBase(tinyVit, reversed, WHERE)).keys()]).toEqual(blocks.map(({ name }) => name));
  });

  test("may carry the prefix of the reference's wrapper", async () => {
    const wrapped = new Map([...dictOf(blocks)].map(([name, tensor]) => [`model.${name}`, tensor]));
    expect(await loadBase(tinyVit, wrapped, WHERE)).toEqual(await loadBase(tinyVit, dictOf(blocks), WHERE));
  });

  test("with a name both wrapped and not is refused", async () => {
    const both = dictOf(blocks).set(`model.${blocks[0]!.name}`, f32([2], () => 0));
    expect(await messageOf(loadBase(tinyVit, both, WHERE))).toContain(`both "${blocks[0]!.name}"`);
  });

  test("may lie beside the text tower, CLIP's own parameters, and buffers", async () => {
    const others = [
      "positional_embedding", "text_projection", "logit_scale", "token_embedding.weight", "ln_final.weight", "ln_final.bias",
      "transformer.resblocks.0.ln_1.weight", "attn_mask", "visual.embeddings.position_ids", "visual.bn1.num_batches_tracked", "input_resolution",
    ];
    const dict = dictOf(blocks);
    for (const name of others) dict.set(name, f32([1], () => NaN));
    expect([...(await loadBase(tinyVit, dict, WHERE)).keys()]).toEqual(blocks.map(({ name }) => name));
  });

  test("keeps half floats as they are", async () => {
    const half: HostTensor = { dtype: "F16", shape: [2], data: float32ToFloat16(Float32Array.of(0.1, 2)) };
    const dict = dictOf(blocks).set("visual.ln_pre.bias", storedTensor(half));
    expect((await loadBase(tinyVit, dict, WHERE)).get("visual.ln_pre.bias")).toEqual(half);
  });

  test("of a ResNet brings its running statistics", async () => {
    const parts = [...tinyResNet.blocks, ...tinyResNet.buffers];
    expect([...(await loadBase(tinyResNet, dictOf(parts), WHERE)).keys()]).toEqual(parts.map(({ name }) => name));
    expect(await messageOf(loadBase(tinyResNet, dictOf(tinyResNet.blocks), WHERE))).toContain("2 missing");
  });

  test("that does not match is refused before any tensor is read; the message counts, and names the first three", async () => {
    let reads = 0;
    const watched: StateDict = new Map([
      ["visual.class_embedding", [2]], ["visual.proj", [3, 2]], ["visual.ln_pre.weight", [2]], ["visual.layer9.weight", [1]], ["mystery", [1]],
    ].map(([name, shape]) => [name as string, { dtype: "F32", shape: shape as number[], bytes: () => { reads++; return Promise.resolve(new Uint8Array(0)); } }]));
    const message = await messageOf(loadBase(tinyVit, watched, WHERE));
    expect(message).toContain(WHERE);
    expect(message).toContain("1 wrongly shaped, 2 missing, 2 unexpected");
    expect(message).toContain('"visual.proj" is [3, 2] instead of [2, 3]; "visual.conv1.weight" is missing; "visual.ln_pre.bias" is missing; …');
    expect(message).not.toContain("visual.layer9");
    expect(reads).toBe(0);
  });

  test.each([
    ["a deeper model's block", "visual.transformer.resblocks.1.ln_1.weight"],
    ["a name of no network we know", "classifier.weight"],
  ])("with %s is refused", async (_title, name) => {
    expect(await messageOf(loadBase(tinyVit, dictOf(blocks).set(name, f32([1], () => 0)), WHERE))).toContain(`1 unexpected: "${name}" is unexpected`);
  });

  test.each([NaN, Infinity, -Infinity])("with %d in a block is refused: which block, how many, where the first is", async (value) => {
    const dict = dictOf(blocks).set("visual.proj", f32([2, 3], (index) => (index % 2 === 1 ? value : 1)));
    const message = await messageOf(loadBase(tinyVit, dict, WHERE));
    expect(message).toContain('"visual.proj"');
    expect(message).toContain("3 of 6 values NaN or infinite, the first at index 1");
  });

  test("with NaN among half floats is refused", async () => {
    const half: HostTensor = { dtype: "F16", shape: [2], data: Uint16Array.of(0x3c00, 0x7e00) };
    const dict = dictOf(blocks).set("visual.ln_pre.bias", storedTensor(half));
    expect(await messageOf(loadBase(tinyVit, dict, WHERE))).toContain("1 of 2 values NaN or infinite, the first at index 1");
  });

  test("with whole numbers for weights is refused, by name", async () => {
    const dict = dictOf(blocks).set("visual.proj", { dtype: "I32", shape: [2, 3], bytes: () => Promise.resolve(new Uint8Array(24)) });
    expect(await messageOf(loadBase(tinyVit, dict, WHERE))).toContain("visual.proj");
  });
});

describe("a task vector", () => {
  test("is the difference of two checkpoints, rounded to half floats by default", async () => {
    const base = dictOf(blocks, () => 0.1);
    const finetuned = dictOf(blocks, (index) => index / 3);
    const exact = await taskVectorFromCheckpoints("task", tinyVit, base, finetuned, "F32");
    const rounded = await taskVectorFromCheckpoints("task", tinyVit, base, finetuned);
    for (const { name, shape } of blocks) {
      const expected = Float32Array.from({ length: sizeOf(shape) }, (_, index) => Math.fround(index / 3) - Math.fround(0.1));
      expect(exact.blocks.get(name)).toEqual({ dtype: "F32", shape, data: expected });
      expect(rounded.blocks.get(name)).toEqual({ dtype: "F16", shape, data: float32ToFloat16(expected) });
    }
  });

  test("whose difference does not fit into a half float is refused, and fits as F32", async () => {
    const finetuned = dictOf(blocks, () => 1e6);
    expect(await messageOf(taskVectorFromCheckpoints("task", tinyVit, dictOf(blocks), finetuned))).toContain("F32");
    const wide = await taskVectorFromCheckpoints("task", tinyVit, dictOf(blocks, () => 0), finetuned, "F32");
    expect(widen(wide.blocks.get("visual.proj")!)[0]).toBe(1e6);
  });

  test("of an image encoder alone has no leftover blocks, which it leaves as they are", async () => {
    const leftover = { name: "text_projection", shape: [2, 2], kind: "leftover", role: "weight", layer: null } as const;
    const spec = { ...tinyVit, blocks: [...tinyVit.blocks, leftover] };
    const vector = await taskVectorFromCheckpoints("task", spec, dictOf(spec.blocks, () => 1), dictOf(blocks, () => 2));
    expect([...vector.blocks.keys()]).toEqual(blocks.map(({ name }) => name));
    expect(await messageOf(taskVectorFromCheckpoints("task", spec, dictOf(spec.blocks), dictOf(spec.blocks.slice(1))))).toContain(blocks[0]!.name);
    expect(await messageOf(taskVectorFromCheckpoints("task", spec, dictOf(blocks), dictOf(blocks)))).toContain("text_projection");
  });

  test("names the checkpoint that does not match", async () => {
    expect(await messageOf(taskVectorFromCheckpoints("task", tinyVit, dictOf(blocks), new Map()))).toContain('fine-tuned model "task"');
    expect(await messageOf(taskVectorFromCheckpoints("task", tinyVit, new Map(), dictOf(blocks)))).toContain('base model of "task"');
  });

  test("from a file may lack blocks, but not all, and has no others", async () => {
    const some = dictOf(blocks.slice(1, 3));
    expect([...(await loadTaskVector(tinyVit, some, WHERE, "task")).blocks.keys()]).toEqual(blocks.slice(1, 3).map(({ name }) => name));
    expect(await messageOf(loadTaskVector(tinyVit, new Map(), WHERE))).toContain("none of the model's blocks");
    expect(await messageOf(loadTaskVector(tinyVit, some.set("visual.other", f32([1], () => 0)), WHERE))).toContain("visual.other");
  });

  test("from a file with NaN is refused", async () => {
    expect(await messageOf(loadTaskVector(tinyVit, dictOf(blocks, () => NaN), WHERE))).toContain("NaN");
  });
});
