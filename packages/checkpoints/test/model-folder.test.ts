import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError, sizeOf, widen, type HostTensor } from "@atlas-tv/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openModelFolder, writeSafetensorsFile, writeTaskVector } from "../src/node.js";
import { tinyVit } from "./tiny-spec.js";

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "atlas-models-"));
  await writeSafetensorsFile(join(folder, "zeroshot.safetensors"), model(1));
  writeFileSync(join(folder, "open_clip_config.json"), JSON.stringify({ model_cfg: { embed_dim: 3 }, preprocess_cfg: { mean: [0.5, 0.5, 0.5], std: [1, 1, 1] } }));
});
afterEach(() => { rmSync(folder, { recursive: true, force: true }); });

function model(value: number): Map<string, HostTensor> {
  return new Map(tinyVit.blocks.map(({ name, shape }) => [name, { dtype: "F32", shape, data: new Float32Array(sizeOf(shape)).fill(value) }]));
}

function task(name: string): string {
  const path = join(folder, `${name}Val`);
  mkdirSync(path);
  return path;
}

test("tasks are the folders that hold a fine-tuned model or a task vector", async () => {
  await writeSafetensorsFile(join(task("DTD"), "finetuned.safetensors"), model(3));
  await writeTaskVector(join(task("Cars"), "task_vector.safetensors"), { name: "Cars", blocks: model(0.5) });
  task("Empty");
  const opened = openModelFolder(folder);
  expect(opened.tasks).toEqual(["Cars", "DTD"]);
  expect(opened.config).toEqual({ embed_dim: 3 });
  expect(opened.normalisation).toEqual({ mean: [0.5, 0.5, 0.5], std: [1, 1, 1] });
  expect(widen((await opened.base(tinyVit)).get("visual.proj")!)[0]).toBe(1);
  for (const [name, step] of [["Cars", 0.5], ["DTD", 2]] as const) {
    const vector = await opened.taskVector(name, tinyVit);
    expect(vector.name).toBe(name);
    expect([...widen(vector.blocks.get("visual.proj")!)]).toEqual(new Array(6).fill(step));
  }
});

test("of a task vector no more blocks are read than are wanted", async () => {
  await writeSafetensorsFile(join(task("DTD"), "finetuned.safetensors"), model(3));
  await writeTaskVector(join(task("Cars"), "task_vector.safetensors"), { name: "Cars", blocks: model(0.5) });
  const opened = openModelFolder(folder);
  for (const name of ["Cars", "DTD"]) {
    const { blocks } = await opened.taskVector(name, tinyVit, new Set(["visual.proj", "visual.conv1.weight"]));
    expect([...blocks.keys()].sort()).toEqual(["visual.conv1.weight", "visual.proj"]);
  }
});

test("an unknown task is refused; the message lists those there are", async () => {
  await writeSafetensorsFile(join(task("DTD"), "finetuned.safetensors"), model(3));
  expect(() => openModelFolder(folder).taskPath("Dtd")).toThrow("one of DTD");
});

test("a saved head is read with its class names; a missing one is null", async () => {
  const weight: HostTensor = { dtype: "F32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
  await writeSafetensorsFile(join(folder, "head_DTDVal.safetensors"), new Map([["weight", weight]]), { class_names: '["a","b"]' });
  const opened = openModelFolder(folder);
  expect(await opened.head("Cars")).toBeNull();
  const head = await opened.head("DTD");
  expect(head?.classNames).toEqual(["a", "b"]);
  expect([...head!.weight]).toEqual([1, 2, 3, 4, 5, 6]);
});

test.each([["not JSON", "["], ["too few", '["a"]'], ["no texts", "[1, 2]"]])("a saved head with class names that are %s is refused", async (_title, names) => {
  const weight: HostTensor = { dtype: "F32", shape: [2, 3], data: new Float32Array(6) };
  await writeSafetensorsFile(join(folder, "head_DTDVal.safetensors"), new Map([["weight", weight]]), { class_names: names });
  await expect(openModelFolder(folder).head("DTD")).rejects.toThrow(InputError);
});

test("a saved head without class names numbers them", async () => {
  const weight: HostTensor = { dtype: "F32", shape: [2, 3], data: new Float32Array(6) };
  await writeSafetensorsFile(join(folder, "head_DTDVal.safetensors"), new Map([["weight", weight]]));
  expect((await openModelFolder(folder).head("DTD"))?.classNames).toEqual(["0", "1"]);
});

test("a file is a model, to which belongs what lies beside it", async () => {
  await writeSafetensorsFile(join(task("DTD"), "finetuned.safetensors"), model(3));
  const opened = openModelFolder(join(folder, "zeroshot.safetensors"));
  expect(opened).toMatchObject({ name: "zeroshot", path: folder, config: { embed_dim: 3 }, tasks: ["DTD"] });
  expect(widen((await opened.base(tinyVit)).get("visual.proj")!)[0]).toBe(1);
});

test("a folder without configuration has none", () => {
  rmSync(join(folder, "open_clip_config.json"));
  expect(openModelFolder(folder)).toMatchObject({ config: null, configPath: null });
});

test("accuracies are those of the file, and none without it", () => {
  writeFileSync(join(folder, "ft_accuracies.json"), '{"DTD": 0.5}');
  const opened = openModelFolder(folder);
  expect(opened.accuracies("ft_accuracies")).toEqual({ DTD: 0.5 });
  expect(opened.accuracies("zeroshot_accuracies")).toEqual({});
});

test("a folder that is not there, and a folder without a base model are refused", () => {
  expect(() => openModelFolder(join(folder, "missing"))).toThrow(InputError);
  rmSync(join(folder, "zeroshot.safetensors"));
  expect(() => openModelFolder(folder)).toThrow("no zeroshot.safetensors");
});

test("a config that is not one is refused by its field", () => {
  writeFileSync(join(folder, "open_clip_config.json"), '{"embed_dim": 3}');
  expect(() => openModelFolder(folder)).toThrow("model_cfg");
});
