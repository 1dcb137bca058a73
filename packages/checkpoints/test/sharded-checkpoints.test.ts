import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError, type HostTensor } from "@atlas-tv/core";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { inspectFile, openCheckpoint, sha256Checkpoint, sha256File, writeSafetensorsFile } from "../src/node.js";
import { archive } from "./hostile/good-files.js";

const root = mkdtempSync(join(tmpdir(), "atlas-shards-"));
afterAll(() => { rmSync(root, { recursive: true, force: true }); });

let folder: string;
let count = 0;
beforeEach(async () => {
  folder = join(root, String(count++));
  mkdirSync(folder);
  await writeSafetensorsFile(join(folder, "model-00001-of-00002.safetensors"), new Map([["a", values(1)], ["b", values(2)]]));
  await writeSafetensorsFile(join(folder, "model-00002-of-00002.safetensors"), new Map([["c", values(3)]]));
  index({ a: "model-00001-of-00002.safetensors", b: "model-00001-of-00002.safetensors", c: "model-00002-of-00002.safetensors" });
});

const values = (value: number): HostTensor => ({ dtype: "F32", shape: [1], data: Float32Array.of(value) });

function index(weightMap: Record<string, string>): void {
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: { total_size: 12 }, weight_map: weightMap }));
}

describe("a checkpoint in several files", () => {
  test.each(["model.safetensors.index.json", ""])("is opened as one by %j in its folder", async (name) => {
    await using file = await openCheckpoint(join(folder, name));
    expect(file.names).toEqual(["a", "b", "c"]);
    expect([...new Float32Array((await file.tensors.get("c")!.bytes()).buffer)]).toEqual([3]);
    expect(file.files).toHaveLength(3);
  });

  test("is inspected with the hash of all its files", async () => {
    const found = await inspectFile(folder);
    expect(found).toMatchObject({ format: "huggingface", files: ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] });
    const before = await sha256Checkpoint(folder);
    expect(found.sha256).toBe(before);
    await writeSafetensorsFile(join(folder, "model-00002-of-00002.safetensors"), new Map([["c", values(4)]]));
    expect(await sha256Checkpoint(folder)).not.toBe(before);
  });

  test("may be of PyTorch's files", async () => {
    writeFileSync(join(folder, "part.bin"), archive());
    writeFileSync(join(folder, "pytorch_model.bin.index.json"), JSON.stringify({ weight_map: { good: "part.bin" } }));
    await using file = await openCheckpoint(join(folder, "pytorch_model.bin.index.json"));
    expect(file).toMatchObject({ format: "pytorch-sharded", names: ["good"], producer: "PyTorch" });
  });

  test.each([
    ["whose index lacks a tensor", { a: "model-00001-of-00002.safetensors", c: "model-00002-of-00002.safetensors" }, 'tensor "b"'],
    ["whose index has a tensor too many", { a: "model-00001-of-00002.safetensors", b: "model-00001-of-00002.safetensors", c: "model-00002-of-00002.safetensors", d: "model-00002-of-00002.safetensors" }, 'no tensor "d"'],
    ["whose index puts a tensor into another file", { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors", c: "model-00002-of-00002.safetensors" }, 'tensor "b"'],
    ["of which a file is missing", { a: "model-00001-of-00002.safetensors", b: "gone.safetensors" }, "gone.safetensors"],
  ])("%s is refused", async (_title, weightMap, said) => {
    index(weightMap);
    await expect(openCheckpoint(folder)).rejects.toThrow(said);
    await expect(openCheckpoint(folder)).rejects.toThrow(InputError);
  });
});

test("a checkpoint in one file has the hash of that file, also by its folder", async () => {
  const single = join(root, "single");
  await writeSafetensorsFile(join(single, "model.safetensors"), new Map([["a", values(1)]]));
  expect(await sha256Checkpoint(single)).toBe(await sha256File(join(single, "model.safetensors")));
});

test("a folder without weights is refused by what it holds", async () => {
  const empty = join(root, "empty");
  mkdirSync(empty);
  await expect(openCheckpoint(empty)).rejects.toThrow("an empty folder, without weights");
  writeFileSync(join(empty, "config.json"), "{}");
  await expect(openCheckpoint(empty)).rejects.toThrow("a folder with config.json, without weights");
});
