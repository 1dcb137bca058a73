import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StateDict } from "@atlas-tv/core";
import { afterAll, describe, expect, test } from "vitest";
import { canonicalTensors, openCheckpoint, readCheckpoint, toHuggingFace, toOpenClip, writeSafetensorsFile } from "../src/node.js";
import { fixture } from "./fixture-folder.js";

const folder = mkdtempSync(join(tmpdir(), "atlas-round-trips-"));
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

async function contents(tensors: StateDict): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for (const [name, { dtype, shape, bytes }] of tensors) all.set(name, `${dtype} [${shape.join(", ")}] ${Buffer.from(await bytes()).toString("base64")}`);
  return all;
}

async function written(tensors: StateDict, name: string): Promise<Map<string, string>> {
  const path = join(folder, `${name}.safetensors`);
  await writeSafetensorsFile(path, tensors);
  return readCheckpoint(path, (file) => contents(file.tensors));
}

const files = [...readdirSync(fixture("checkpoints")).filter((name) => /\.(pt|safetensors)$/.test(name)), "hf"];

describe.each(files)("%s", (name) => {
  test("is the same after it was written as safetensors and read again", async () => {
    await using file = await openCheckpoint(fixture("checkpoints", name));
    expect(await written(file.tensors, name)).toEqual(await contents(file.tensors));
  });
});

const integers = (name: string): boolean => name.endsWith("position_ids");

test("a Hugging Face model has open_clip's image encoder, bit for bit", async () => {
  await using theirs = await openCheckpoint(fixture("checkpoints", "hf"));
  await using ours = await openCheckpoint(fixture("checkpoints", "zeroshot.safetensors"));
  const visual = (all: Map<string, string>): Map<string, string> => new Map([...all].filter(([name]) => name.startsWith("visual.")).sort());
  const expected = visual(await contents(ours.tensors));
  expect(expected.size).toBeGreaterThan(0);
  expect(visual(await contents(canonicalTensors(theirs.tensors, "hf")))).toEqual(expected);
});

test("a Hugging Face model is the same after it was renamed, written, read and renamed back", async () => {
  await using file = await openCheckpoint(fixture("checkpoints", "hf"));
  const parameters = new Map([...file.tensors].filter(([name]) => !integers(name)));
  const path = join(folder, "renamed.safetensors");
  await writeSafetensorsFile(path, toOpenClip(parameters));
  await using renamed = await openCheckpoint(path);
  expect([...renamed.names].some((name) => name.endsWith("attn.in_proj_weight"))).toBe(true);
  const sorted = (all: Map<string, string>): [string, string][] => [...all].sort();
  expect(sorted(await written(toHuggingFace(renamed.tensors), "back"))).toEqual(sorted(await contents(parameters)));
});
