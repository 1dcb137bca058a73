import { readFloat32, readIntegers, sizeOf } from "@atlas-tv/core";
import { describe, expect, test } from "vitest";
import { encodeSafetensors, memorySource, openFile, openSafetensors } from "../src/node.js";
import { fixture, fixtureJson, safetensorsFiles } from "./fixture-folder.js";
import { collect } from "./raw-safetensors.js";

interface Expected {
  readonly param_names_in_order: readonly string[];
  readonly param_shapes_in_order: readonly (readonly number[])[];
  readonly n_params: number;
  readonly n_task_vectors: number;
  readonly logit_scale: number;
  readonly classes_per_head: readonly number[];
  readonly sum_f64: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly hf_keys: readonly string[];
}

interface Inputs {
  readonly image_sum: number;
  readonly labels: readonly (readonly number[])[];
}

const expected = fixtureJson("checkpoints", "expected.json") as Expected;
const inputs = fixtureJson("inputs", "expected.json") as Inputs;

/** Float64 sums differ by the order of their terms only. */
function expectSum(values: Float64Array, sum: number, what: string): void {
  const slack = 1e-12 * values.reduce((total, value) => total + Math.abs(value), 1);
  expect(Math.abs(values.reduce((total, value) => total + value, 0) - sum), what).toBeLessThanOrEqual(slack);
}

/** The reference wraps its encoder in a module called `model`. */
const plain = (name: string): string => name.replace(/^model\./, "");

describe("checkpoints", () => {
  const models = ["zeroshot", ...Array.from({ length: expected.n_task_vectors }, (_, i) => `finetuned_${i}`)];

  test.each(models)("%s: names and shapes are those of the reference, in its order", async (model) => {
    await using source = await openFile(fixture("checkpoints", `${model}.safetensors`));
    const { names, tensors } = await openSafetensors(source, model);
    expect(names).toEqual(expected.param_names_in_order.map(plain));
    expect([...tensors.values()].map(({ shape }) => shape)).toEqual(expected.param_shapes_in_order);
  });

  const summed = Object.entries(expected.sum_f64);
  test("some sums are given", () => {
    expect(summed.length).toBeGreaterThan(0);
  });

  test.each(summed)("%s: every block sums to the reference's number", async (model, sums) => {
    await using source = await openFile(fixture("checkpoints", `${model}.safetensors`));
    const { tensors } = await openSafetensors(source, model);
    expect(tensors.size).toBe(Object.keys(sums).length);
    for (const [name, sum] of Object.entries(sums)) {
      expectSum(Float64Array.from(await readFloat32(tensors.get(plain(name))!, name)), sum, name);
    }
  });

  test("a scalar is read as such", async () => {
    await using source = await openFile(fixture("checkpoints", "zeroshot.safetensors"));
    const { tensors } = await openSafetensors(source, "zeroshot");
    expect(tensors.size).toBe(expected.n_params);
    expect([...await readFloat32(tensors.get("logit_scale")!, "logit_scale")]).toEqual([expected.logit_scale]);
  });

  test("learned coefficients have a row for every task vector and a column for every block", async () => {
    await using source = await openFile(fixture("checkpoints", "learned_composition.safetensors"));
    const { tensors } = await openSafetensors(source, "learned composition");
    for (const { shape } of tensors.values()) expect(shape).toEqual([expected.n_task_vectors, expected.n_params]);
  });

  test.each(expected.classes_per_head.map((classes, head) => ({ classes, head })))("head $head has $classes rows", async ({ classes, head }) => {
    await using source = await openFile(fixture("checkpoints", `head_${head}.safetensors`));
    const { tensors } = await openSafetensors(source, `head_${head}`);
    expect(tensors.get("weight")?.shape[0]).toBe(classes);
    expect(tensors.get("bias")?.shape).toEqual([classes]);
  });

  test("the Hugging Face file holds the names it should", async () => {
    await using source = await openFile(fixture("checkpoints", "hf", "model.safetensors"));
    const { names, metadata } = await openSafetensors(source, "hf");
    expect([...names].sort()).toEqual([...expected.hf_keys].sort());
    expect(metadata).toEqual({ format: "pt" });
  });
});

describe("inputs", () => {
  test("half floats and integers are read as the reference wrote them", async () => {
    await using source = await openFile(fixture("inputs", "inputs.safetensors"));
    const { tensors } = await openSafetensors(source, "inputs");
    expectSum(Float64Array.from(await readFloat32(tensors.get("images")!, "images")), inputs.image_sum, "images");
    for (const [head, labels] of inputs.labels.entries()) {
      const name = `labels_${head}`;
      expect(Array.from(await readIntegers(tensors.get(name)!, name), Number)).toEqual(labels);
    }
  });
});

describe.each(safetensorsFiles("."))("%s", (file) => {
  test("every tensor is read as its element type says", async () => {
    await using source = await openFile(fixture(file));
    const { tensors } = await openSafetensors(source, file);
    expect(tensors.size).toBeGreaterThan(0);
    for (const [name, tensor] of tensors) {
      const floating = /^B?F/.test(tensor.dtype);
      const values = floating ? await readFloat32(tensor, name) : await readIntegers(tensor, name);
      expect(values.length).toBe(sizeOf(tensor.shape));
    }
  });

  test("writing what was read gives tensors with the same bytes", async () => {
    await using source = await openFile(fixture(file));
    const { tensors, metadata, names } = await openSafetensors(source, file);
    const again = await openSafetensors(memorySource(await collect(encodeSafetensors(tensors, metadata))), file);
    expect(again.names).toEqual(names);
    expect(again.metadata).toEqual(metadata);
    for (const [name, tensor] of tensors) {
      expect(Buffer.compare(await again.tensors.get(name)!.bytes(), await tensor.bytes()), name).toBe(0);
    }
  });
});
