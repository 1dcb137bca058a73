import { widen, type HostTensor } from "@atlas-tv/core";
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { encodeSafetensors, memorySource, openModelFiles, sha256Source, taskVectorFile, type ModelFiles, type WritableTensors } from "../src/index.js";
import { tinyVit } from "./tiny-spec.js";

function model(value: number): Map<string, HostTensor> {
  return new Map(tinyVit.blocks.map(({ name, shape }) => [name, { dtype: "F32", shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value) }]));
}

async function bytes(tensors: WritableTensors, metadata: Record<string, string> = {}): Promise<Uint8Array> {
  const chunks: number[] = [];
  for await (const chunk of encodeSafetensors(tensors, metadata)) chunks.push(...chunk);
  return Uint8Array.from(chunks);
}

const CONFIG = new TextEncoder().encode(JSON.stringify({ model_cfg: { embed_dim: 3 }, preprocess_cfg: { mean: [0.5, 0.5, 0.5], std: [1, 1, 1] } }));

function files(contents: Record<string, Uint8Array>): ModelFiles {
  return { name: "tiny", paths: Object.keys(contents), open: (path) => Promise.resolve(memorySource(contents[path]!)) };
}

const vector = taskVectorFile({ name: "Cars", blocks: model(0.5) });
const weight: HostTensor = { dtype: "F32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
const whole = {
  "zeroshot.safetensors": await bytes(model(1)),
  "open_clip_config.json": CONFIG,
  "CarsVal/task_vector.safetensors": await bytes(vector.tensors, vector.metadata),
  "DTDVal/finetuned.safetensors": await bytes(model(3)),
  "EmptyVal/notes.txt": CONFIG,
  "head_DTDVal.safetensors": await bytes(new Map([["weight", weight]]), { class_names: '["a","b"]' }),
};

test("a model is read from files without a file system, as from a folder", async () => {
  const opened = await openModelFiles(files(whole));
  expect(opened).toMatchObject({ name: "tiny", config: { embed_dim: 3 }, normalisation: { mean: [0.5, 0.5, 0.5] }, tasks: ["Cars", "DTD"] });
  expect(widen((await opened.base(tinyVit)).get("visual.proj")!)[0]).toBe(1);
  for (const [name, step] of [["Cars", 0.5], ["DTD", 2]] as const) {
    const read = await opened.taskVector(name, tinyVit);
    expect(read.name).toBe(name);
    expect([...widen(read.blocks.get("visual.proj")!)]).toEqual(new Array(6).fill(step));
  }
  expect((await opened.baseTensors()).names).toContain("visual.proj");
  expect(await opened.head("Cars")).toBeNull();
  expect((await opened.head("DTD"))?.classNames).toEqual(["a", "b"]);
});

test.each(["zeroshot.safetensors", "open_clip_config.json"])("files without %s are refused", async (name) => {
  const rest = Object.fromEntries(Object.entries(whole).filter(([path]) => path !== name));
  await expect(openModelFiles(files(rest))).rejects.toThrow(`no ${name}`);
});

test("an unknown task is refused; the message lists those there are", async () => {
  const opened = await openModelFiles(files(whole));
  await expect(opened.taskVector("Dtd", tinyVit)).rejects.toThrow("one of Cars, DTD");
});

test("the hash of a source is that of its bytes", async () => {
  expect(await sha256Source(memorySource(CONFIG))).toBe(createHash("sha256").update(CONFIG).digest("hex"));
});
