import { existsSync, readdirSync } from "node:fs";
import type { StateDict } from "@atlas-tv/core";
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../src/node.js";
import { fixture, fixtureJson } from "./fixture-folder.js";

const stored = readdirSync(fixture("checkpoints")).filter((name) => name.endsWith(".pt"));

/** The wrapper's prefix, which the safetensors files do without. */
const plain = (name: string): string => name.replace(/^model\./, "");

/** The file that says what a file of PyTorch's must hold: the same model as safetensors. */
function referenceOf(name: string): string {
  return `${name.replace(/\.pt$/, "").replace(/_state_dict(_legacy)?$/, "")}.safetensors`;
}

async function contents(tensors: StateDict): Promise<Map<string, unknown>> {
  const all = new Map<string, unknown>();
  for (const [name, { dtype, shape, bytes }] of tensors) all.set(plain(name), { dtype, shape, bytes: Buffer.from(await bytes()).toString("base64") });
  return all;
}

describe.each(stored.filter((name) => existsSync(fixture("checkpoints", referenceOf(name)))))("%s", (name) => {
  test("holds the tensors of its safetensors file, bit for bit and in its order", async () => {
    await using file = await openCheckpoint(fixture("checkpoints", name));
    await using reference = await openCheckpoint(fixture("checkpoints", referenceOf(name)));
    expect(file.names.map(plain)).toEqual(reference.names);
    expect(await contents(file.tensors)).toEqual(await contents(reference.tensors));
  });

  test("is what its content says", async () => {
    await using file = await openCheckpoint(fixture("checkpoints", name));
    expect(file.producer).toBe("PyTorch");
    const format = name.includes("legacy") ? "pytorch-legacy" : name.includes("torchscript") ? "torchscript" : "pytorch-zip";
    expect(file.format).toBe(format);
  });
});

test("the sums of zeroshot.pt are those that were noted when it was made", async () => {
  const { sum_f64: sums } = fixtureJson("checkpoints", "expected.json") as { sum_f64: Record<string, Record<string, number> | number> };
  await using file = await openCheckpoint(fixture("checkpoints", "zeroshot.pt"));
  const noted = (typeof Object.values(sums)[0] === "number" ? sums : sums["zeroshot"]) as Record<string, number>;
  expect(Object.keys(noted).length).toBeGreaterThan(0);
  for (const [name, sum] of Object.entries(noted)) {
    const bytes = await (file.tensors.get(name) ?? file.tensors.get(`model.${name}`))!.bytes();
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    expect(values.reduce((total, value) => total + value, 0), name).toBeCloseTo(sum, 9);
  }
});

test("a shots file holds one tensor of distinct indices", async () => {
  const shots = stored.filter((name) => /^\d+_shots_\d+\.pt$/.test(name));
  expect(shots.length).toBeGreaterThan(0);
  for (const name of shots) {
    await using file = await openCheckpoint(fixture("checkpoints", name));
    expect(file.names).toEqual(["tensor"]);
    const { dtype, shape, bytes } = file.tensors.get("tensor")!;
    expect(dtype).toBe("I64");
    const indices = [...new BigInt64Array((await bytes()).buffer)];
    expect(indices).toHaveLength(shape[0]!);
    expect(new Set(indices).size).toBe(indices.length);
    expect(indices.every((index) => index >= 0n)).toBe(true);
  }
});

test("a Hugging Face folder is opened as one, and its integer buffers are passed on", async () => {
  await using folder = await openCheckpoint(fixture("checkpoints", "hf"));
  await using file = await openCheckpoint(fixture("checkpoints", "hf", "model.safetensors"));
  expect(folder.format).toBe("huggingface");
  expect(await contents(folder.tensors)).toEqual(await contents(file.tensors));
});
