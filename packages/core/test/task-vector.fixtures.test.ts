import { describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  add, applyVector, blockDot, cosineMatrix, difference, dot, encode, isotropic, negate, norm, PlainBackend, power, scale, subtract, widen,
  type HostTensor, type NamedHostTensors, type Storage, type FullTaskVector,
} from "../src/index.js";
import {
  checkpointFacts, closeTo, fixtureBatchSize, fixtureCheckpoint, fixtureImages, fixtureJson, fixtureTensors, floats, tolerance,
} from "./fixture-files.js";
import "./plain-backends.js";

interface Products { dot: number[][]; norm: number[]; cosine: number[][] }
const expected = fixtureJson<{
  half_rounded: Products;
  float32_unrounded: Products;
  per_block_norm_tv0_half_rounded: Record<string, number>;
  per_block_cosine_tv0_tv1_half_rounded: Record<string, number | "NaN">;
  max_abs_rounding_error_tv0: number;
}>("task_vectors/expected.json");
const golden = fixtureTensors("task_vectors/task_vectors.safetensors");
const { vectors: count } = checkpointFacts();
const base = await fixtureCheckpoint("zeroshot");

async function vectorsAs(storage: Storage): Promise<FullTaskVector[]> {
  const finetuned = await Promise.all(Array.from({ length: count }, (_, i) => fixtureCheckpoint(`finetuned_${i}`)));
  return finetuned.map((tensors, i) => difference(`tv${i}`, base, tensors, storage));
}
const half = await vectorsAs("F16");
const full = await vectorsAs("F32");

/** The blocks that the fixture lists for an operation, with our names. */
function blocksOf(operation: string): string[] {
  return [...golden.keys()].filter((name) => name.startsWith(`${operation}.model.`)).map((name) => name.slice(`${operation}.model.`.length));
}

function block(vector: FullTaskVector | ReadonlyMap<string, HostTensor>, name: string): HostTensor {
  return ("blocks" in vector ? vector.blocks : vector).get(name)!;
}

async function expectOperation(operation: string, result: FullTaskVector | ReadonlyMap<string, HostTensor>, limit = 0): Promise<void> {
  const names = blocksOf(operation);
  expect(names.length, operation).toBeGreaterThan(0);
  for (const name of names) {
    closeTo(widen(block(result, name)), await floats(golden, `${operation}.model.${name}`), limit, `${operation} ${name}`);
  }
}

const exact = tolerance("task_vectors.arithmetic");
/** TOLERANCES.md: cosines are compared absolutely. */
const COSINE_LIMIT = 1e-6;
/** One float32 product and one sum, whichever way a library rounds the scalar. */
const FLOAT32_LIMIT = 1e-6;
const widened = half.map((vector): FullTaskVector => ({ name: vector.name, blocks: new Map([...vector.blocks].map(([name, tensor]): [string, HostTensor] => [name, { dtype: "F32", shape: tensor.shape, data: widen(tensor) }])) }));

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
    const limit = prefix === "half" ? tolerance("task_vectors.scale_apply_half") : FLOAT32_LIMIT;
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
      row.forEach((cosine, j) => { expect(Math.abs(cosine - want.cosine[i]![j]!)).toBeLessThanOrEqual(COSINE_LIMIT); });
    });
  });

  it("measures the norm of every block", () => {
    const norms = Object.entries(expected.per_block_norm_tv0_half_rounded);
    expect(norms.map(([name]) => own(name))).toEqual([...base.keys()]);
    for (const [name, want] of norms) {
      const tensor = block(half[0]!, own(name));
      closeTo(Math.sqrt(blockDot(tensor, tensor)), want, tolerance("task_vectors.dot_norm_cosine"), name);
    }
  });

  it("measures the cosine of every block, NaN where one is zero", () => {
    for (const [name, want] of Object.entries(expected.per_block_cosine_tv0_tv1_half_rounded)) {
      const [[, cosine]] = cosineMatrix(half.slice(0, 2).map((vector) => ({ name, blocks: new Map([[name, block(vector, own(name))]]) }))) as [[number, number]];
      if (want === "NaN") expect(cosine, name).toBeNaN();
      else expect(Math.abs(cosine - want), name).toBeLessThanOrEqual(COSINE_LIMIT);
    }
  });

  it("rounds to the nearest half", () => {
    const errors = [...full[0]!.blocks].map(([name, tensor]) => {
      const rounded = widen(block(half[0]!, name));
      return widen(tensor).reduce((worst, value, i) => Math.max(worst, Math.abs(value - rounded[i]!)), 0);
    });
    closeTo(Math.max(...errors), expected.max_abs_rounding_error_tv0, tolerance("task_vectors.dot_norm_cosine"), "largest error");
  });

  it("gives models with the golden features", async () => {
    const sum = (tv: readonly FullTaskVector[], storage: Storage): FullTaskVector => tv.slice(1).reduce((total, vector) => add(total, vector, storage), tv[0]!);
    const inHalf = blockOperation("half", "apply");
    const inFull = blockOperation("f32", "apply");
    const negated = featureOperation("f32", "negate");
    await expectFeatures(inHalf.name, applyVector(base, scale(sum(half, "F16"), inHalf.factor)), tolerance("task_vectors.scale_apply_half"));
    await expectFeatures(inFull.name, applyVector(base, sum(widened, "F32"), inFull.factor), tolerance("encoder.features"));
    await expectFeatures(negated.name, applyVector(base, negate(half[0]!), negated.factor), tolerance("encoder.features"));
  });
});

/** The fixture's block names carry the reference's prefix. */
function own(name: string): string {
  return name.replace(/^model\./, "");
}

/** Features of the first batch, by the model that an operation gives. */
async function expectFeatures(operation: string, model: NamedHostTensors, limit: number): Promise<void> {
  const backend = new PlainBackend("cpu");
  await backend.activate();
  const spec = visionSpec(fixtureJson("checkpoints/open_clip_config.json"), { includeLeftovers: true });
  const encoder = await backend.compile(spec, model, [], isotropic());
  const composed = await encoder.compose(encoder.initialCoefficients());
  const features = await encode(composed, await fixtureImages(0, fixtureBatchSize()));
  closeTo(await features.data(), await floats(golden, `${operation}.features`), limit, operation);
  features.dispose();
  composed.dispose();
  encoder.dispose();
}

interface Operation {
  name: string;
  factor: number;
}

/** The scalar is part of the operation's name, e.g. `half.scale0.3_tv0`. */
function operation(prefix: string, kind: string, result: string): Operation {
  const pattern = new RegExp(`^(${prefix}\\.${kind}([0-9.e+-]+)_[a-z0-9_]+)\\.${result}`);
  for (const name of golden.keys()) {
    const match = pattern.exec(name);
    if (match !== null) return { name: match[1]!, factor: Number(match[2]) };
  }
  throw new Error(`fixture has no ${prefix}.${kind} of ${result}`);
}

/** An operation whose resulting blocks are listed. */
function blockOperation(prefix: string, kind: "scale" | "apply"): Operation {
  return operation(prefix, kind, "model\\.");
}

/** An operation whose resulting model's features are listed. */
function featureOperation(prefix: string, kind: "negate"): Operation {
  return operation(prefix, kind, "features$");
}
