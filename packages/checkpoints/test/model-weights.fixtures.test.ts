import { widen, type BlockSpec, type VitSpec } from "@atlas-tv/core";
import { describe, expect, test } from "vitest";
import { loadBase, openCheckpoint, taskVectorFromCheckpoints } from "../src/node.js";
import { fixture, fixtureJson } from "./fixture-folder.js";
import { tinyVit } from "./tiny-spec.js";

interface Expected {
  readonly param_names_in_order: readonly string[];
  readonly param_shapes_in_order: readonly (readonly number[])[];
  readonly n_task_vectors: number;
}

const expected = fixtureJson("checkpoints", "expected.json") as Expected;
const plain = (name: string): string => name.replace(/^model\./, "");

const everyBlock = expected.param_names_in_order.map((name, i): BlockSpec => {
  return { name: plain(name), shape: expected.param_shapes_in_order[i]!, kind: "norm", role: "weight", layer: null };
});
const withLeftovers: VitSpec = { ...tinyVit, blocks: everyBlock };
const imageOnly: VitSpec = { ...tinyVit, blocks: everyBlock.filter(({ name }) => name.startsWith("visual.")) };

test("the base model loads with and without the text-side leftovers", async () => {
  await using file = await openCheckpoint(fixture("checkpoints", "zeroshot.safetensors"));
  expect([...(await loadBase(withLeftovers, file.tensors, file.path)).keys()]).toEqual(everyBlock.map(({ name }) => name));
  expect(imageOnly.blocks.length).toBeLessThan(everyBlock.length);
  expect([...(await loadBase(imageOnly, file.tensors, file.path)).keys()]).toEqual(imageOnly.blocks.map(({ name }) => name));
});

test("a whole CLIP's image encoder loads, in the types of the file", async () => {
  await using file = await openCheckpoint(fixture("checkpoints", "openai_torchscript.safetensors"));
  const base = await loadBase(imageOnly, file.tensors, file.path);
  for (const [name, { dtype }] of base) expect(dtype).toBe(file.tensors.get(name)!.dtype);
});

describe.each(Array.from({ length: expected.n_task_vectors }, (_, i) => i))("task vector %i", (i) => {
  test.each(["F16", "F32"] as const)("stored as %s is the reference's, bit for bit", async (storage) => {
    await using base = await openCheckpoint(fixture("checkpoints", "zeroshot.safetensors"));
    await using finetuned = await openCheckpoint(fixture("checkpoints", `finetuned_${i}.safetensors`));
    await using reference = await openCheckpoint(fixture("task_vectors", "task_vectors.safetensors"));
    const vector = await taskVectorFromCheckpoints(`task ${i}`, withLeftovers, base.tensors, finetuned.tensors, storage);
    const prefix = `${storage === "F16" ? "half" : "f32"}.tv${i}.`;
    const given = reference.names.filter((name) => name.startsWith(prefix));
    expect(given.length).toBeGreaterThan(0);
    for (const name of given) {
      const { dtype, data } = vector.blocks.get(plain(name.slice(prefix.length)))!;
      expect(dtype).toBe(reference.tensors.get(name)!.dtype);
      expect(Buffer.compare(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), await reference.tensors.get(name)!.bytes()), name).toBe(0);
    }
  });

  test("is zero on the leftovers", async () => {
    await using base = await openCheckpoint(fixture("checkpoints", "zeroshot.safetensors"));
    await using finetuned = await openCheckpoint(fixture("checkpoints", `finetuned_${i}.safetensors`));
    const vector = await taskVectorFromCheckpoints(`task ${i}`, withLeftovers, base.tensors, finetuned.tensors);
    for (const [name, tensor] of vector.blocks) {
      expect(widen(tensor).every((value) => value === 0), name).toBe(!name.startsWith("visual."));
    }
  });
});
