import { describe, expect, it } from "vitest";
import {
  add, applyVector, blockDot, cosineMatrix, difference, dot, negate, norm, power, scale, subtract, widen, type HostTensor, type Storage, type TaskVector,
} from "../src/index.js";
import { checkpointFacts, closeTo, fixtureCheckpoint, fixtureJson, fixtureTensors, floats, tolerance } from "./fixture-files.js";

interface Products { dot: number[][]; norm: number[]; cosine: number[][] }
const expected = fixtureJson<{
  half_rounded: Products;
  float32_unrounded: Products;
  per_block_norm_tv0_half_rounded: Record<string, number | "NaN">;
}>("task_vectors/expected.json");
const golden = fixtureTensors("task_vectors/task_vectors.safetensors");
const { vectors: count } = checkpointFacts();
const base = await fixtureCheckpoint("zeroshot");

async function vectorsAs(storage: Storage): Promise<TaskVector[]> {
  const finetuned = await Promise.all(Array.from({ length: count }, (_, i) => fixtureCheckpoint(`finetuned_${i}`)));
  return finetuned.map((tensors, i) => difference(`tv${i}`, base, tensors, storage));
}
const half = await vectorsAs("F16");
const full = await vectorsAs("F32");

/** The blocks that the fixture lists for an operation, with our names. */
function blocksOf(operation: string): string[] {
  return [...golden.keys()].filter((name) => name.startsWith(`${operation}.model.`)).map((name) => name.slice(`${operation}.model.`.length));
}

function block(vector: TaskVector | ReadonlyMap<string, HostTensor>, name: string): HostTensor {
  return ("blocks" in vector ? vector.blocks : vector).get(name)!;
}

async function expectOperation(operation: string, result: TaskVector | ReadonlyMap<string, HostTensor>, limit = 0): Promise<void> {
  const names = blocksOf(operation);
  expect(names.length, operation).toBeGreaterThan(0);
  for (const name of names) {
    closeTo(widen(block(result, name)), await floats(golden, `${operation}.model.${name}`), limit, `${operation} ${name}`);
  }
}

const exact = tolerance("task_vectors.arithmetic");
const widened = half.map((vector): TaskVector => ({ name: vector.name, blocks: new Map([...vector.blocks].map(([name, tensor]): [string, HostTensor] => [name, { dtype: "F32", shape: tensor.shape, data: widen(tensor) }])) }));

describe("task vectors", () => {
  it("differs from the base exactly, in half and in float32 storage", async () => {
    for (let i = 0; i < count; i++) {
      await expectOperation(`half.tv${i}`, half[i]!, exact);
      await expectOperation(`f32.tv${i}`, full[i]!, exact);
    }
  });

  it.each([["half", "F16"], ["f32", "F32"]] as const)("negates, adds and subtracts exactly in %s storage", async (prefix, storage) => {
    const tv = storage === "F16" ? half : widened;
    await expectOperation(`${prefix}.neg_tv0`, negate(tv[0]!, storage), exact);
    await expectOperation(`${prefix}.add_tv0_tv1`, add(tv[0]!, tv[1]!, storage), exact);
    await expectOperation(`${prefix}.sub_tv0_tv1`, subtract(tv[0]!, tv[1]!, storage), exact);
    await expectOperation(`${prefix}.sum_all`, tv.slice(1).reduce((sum, vector) => add(sum, vector, storage), tv[0]!), exact);
  });

  it("squares element by element in half storage", async () => {
    await expectOperation("half.pow2_tv0", power(half[0]!, 2), exact);
  });

  it.each([["half", "F16", half], ["f32", "F32", widened]] as const)("scales and applies in %s storage", async (prefix, storage, tv) => {
    const limit = prefix === "half" ? tolerance("task_vectors.scale_apply_half") : 1e-6;
    const scaling = blockOperation(prefix, "scale");
    await expectOperation(scaling.name, scale(tv[0]!, scaling.factor, storage), limit);
    const applying = blockOperation(prefix, "apply");
    const sum = tv.slice(1).reduce((total, vector) => add(total, vector, storage), tv[0]!);
    await expectOperation(applying.name, applyVector(base, scale(sum, applying.factor, storage)), limit);
  });

  it.each([["half_rounded", half], ["float32_unrounded", full]] as const)("measures dot, norm and cosine, %s", (kind, tv) => {
    const limit = tolerance("task_vectors.dot_norm_cosine");
    const want = expected[kind];
    tv.forEach((a, i) => {
      closeTo(norm(a), want.norm[i]!, limit, `norm ${i}`);
      // Between nearly orthogonal vectors the terms cancel: the scale of the error is that of the norms.
      tv.forEach((b, j) => { expect(Math.abs(dot(a, b) - want.dot[i]![j]!)).toBeLessThanOrEqual(limit * want.norm[i]! * want.norm[j]!); });
    });
    cosineMatrix(tv).forEach((row, i) => {
      row.forEach((cosine, j) => { expect(Math.abs(cosine - want.cosine[i]![j]!)).toBeLessThanOrEqual(1e-6); });
    });
  });

  it("measures the norm of every block", () => {
    for (const [name, want] of Object.entries(expected.per_block_norm_tv0_half_rounded)) {
      const tensor = block(half[0]!, name.replace(/^model\./, ""));
      if (want !== "NaN") closeTo(Math.sqrt(blockDot(tensor, tensor)), want, tolerance("task_vectors.dot_norm_cosine"), name);
    }
  });
});

/** The scalar is part of the operation's name, e.g. `half.scale0.3_tv0`. */
function blockOperation(prefix: string, kind: "scale" | "apply"): { name: string; factor: number } {
  for (const name of golden.keys()) {
    const match = new RegExp(`^(${prefix}\\.${kind}([0-9.]+)_[a-z0-9_]+)\\.model\\.`).exec(name);
    if (match !== null) return { name: match[1]!, factor: Number(match[2]) };
  }
  throw new Error(`fixture has no ${prefix}.${kind}`);
}
