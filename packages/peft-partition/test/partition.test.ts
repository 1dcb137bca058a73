import { CpuBackend } from "@atlas-tv/backend-cpu";
import {
  blockOf, blockwise, composeWeights, CrossEntropyObjective, createContainer, inputTensor, InputError, learn, PlainBackend, Random, registerGradients,
  resolvePlugin, sizeOf, widen,
  type Backend, type Composition, type LabelledBatch, type NamedArrays,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { closeTo } from "../../core/test/fixture-files.js";
import { PLAIN_BACKENDS } from "../../core/test/plain-backends.js";
import { blockMasks, partition, plugin } from "../src/index.js";
import { smallModel, SPEC } from "./small-encoder.js";

const { base, vectors } = smallModel(3);
const n = vectors.length;
const count = SPEC.blocks.length;

function create(options: Record<string, unknown>, seed: number | string = 1): Composition {
  const container = createContainer();
  plugin.register(container);
  return resolvePlugin(container, "composition", "partition").create({ options, seed });
}

function normal(size: number, random: Random): Float32Array {
  return Float32Array.from({ length: size }, () => random.normal());
}

const random = new Random("batches");
const head = { name: "four", classNames: ["a", "b", "c", "d"], width: SPEC.outputWidth, weight: normal(4 * SPEC.outputWidth, random) };
const batches = Array.from({ length: 3 }, (): LabelledBatch => ({
  images: { data: normal(6 * 8 * 8 * 3, random), shape: [6, 8, 8, 3] },
  labels: Int32Array.from({ length: 6 }, () => random.below(4)),
}));

/** Coefficients after a few epochs. */
async function learned(backend: Backend, composition: Composition): Promise<Float32Array> {
  await backend.activate();
  const encoder = await backend.compile(SPEC, base, vectors, composition);
  const { last } = await learn({
    encoder, objective: new CrossEntropyObjective(head), batches: () => batches, batchesPerEpoch: batches.length, epochs: 3, learningRate: 0.1,
  });
  encoder.dispose();
  return last["coef"]!;
}

const backends: readonly Backend[] = [...PLAIN_BACKENDS.map((name) => new PlainBackend(name)), new CpuBackend()];

describe.each(backends.map((backend, i) => [`${backend.id} ${i}`, backend] as const))("×K on %s", (_name, backend) => {
  beforeAll(async () => {
    await backend.activate();
    registerGradients();
  });

  it("with one part learns what blockwise learns, to the bit", async () => {
    expect(await learned(backend, create({ parts: 1 }))).toEqual(await learned(backend, blockwise()));
  });

  it("with one part through its own arithmetic comes close to blockwise", async () => {
    closeTo(await learned(backend, partition(blockMasks(1, new Random(1)))), await learned(backend, blockwise()), 1e-3);
  });

  it("with more parts than a block has elements leaves the coefficients of empty parts at 0", async () => {
    const parts = 40;
    const masks = blockMasks(parts, new Random(3));
    const coef = await learned(backend, partition(masks));
    let moved = 0;
    SPEC.blocks.forEach((block, j) => {
      const used = new Set(masks.of(block));
      for (let i = 0; i < n; i++) {
        for (let k = 0; k < parts; k++) {
          const value = coef[(i * count + j) * parts + k]!;
          if (used.has(k)) moved += Number(value !== 0);
          else expect(value).toBe(0);
        }
      }
      expect(used.size).toBeLessThanOrEqual(Math.min(parts, sizeOf(block.shape)));
    });
    expect(moved).toBeGreaterThan(0);
  });

  it.each(["standard", "linearised"] as const)("has the gradient that differences of the loss say, %s", async (mode) => {
    const masks = blockMasks(3, new Random(5));
    const encoder = await backend.compile(SPEC, base, vectors, partition(masks), { mode });
    const draws = new Random("point");
    const coef = normal(n * count * 3, draws).map((value) => 0.05 * value);
    const direction = normal(coef.length, draws);
    const images = inputTensor(batches[0]!.images);
    const weights = tf.tensor2d(normal(6 * SPEC.outputWidth, draws), [6, SPEC.outputWidth]);
    const before = tf.memory().numTensors;
    const lossAt = async (step: number): Promise<number> => {
      const composed = await encoder.compose({ coef: coef.map((value, i) => value + step * direction[i]!) });
      const features = await composed.features(images);
      const loss = tf.tidy(() => tf.sum(tf.mul(features, weights)));
      const [value] = await loss.data();
      tf.dispose([features, loss]);
      composed.dispose();
      return value!;
    };
    const composed = await encoder.compose({ coef });
    const pass = await composed.forward(images);
    const { coef: gradient } = await pass.backward(weights) as NamedArrays & { coef: Float32Array };
    pass.dispose();
    composed.dispose();
    const slope = (await lossAt(1e-2) - await lossAt(-1e-2)) / 2e-2;
    closeTo(gradient.reduce((sum, value, i) => sum + value * direction[i]!, 0), slope, 1e-2);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([images, weights]);
    encoder.dispose();
  });
});

describe("×K on the host", () => {
  const composition = partition(blockMasks(6, new Random(8)));

  it("composes and reduces as it does on tensors", async () => {
    await new PlainBackend("cpu").activate();
    const draws = new Random("host");
    const coef = normal(n * count * 6, draws);
    const weights = await composeWeights(SPEC.blocks, base, vectors, composition, { coef });
    for (const [index, block] of SPEC.blocks.entries()) {
      const at = { block, index, count };
      const own = vectors.map((vector) => blockOf(vector, block.name));
      const gradient = normal(sizeOf(block.shape), draws);
      const tensors = own.map((vector) => tf.tensor(widen(vector!), [...block.shape]));
      const start = tf.tensor(widen(base.get(block.name)!), [...block.shape]);
      const coefficients = tf.tensor(coef, [n, count, 6]);
      const composed = composition.compose(at, start, tensors, { coef: coefficients });
      const reduced = composition.reduce(at, tf.tensor(gradient, [...block.shape]), tensors, { coef: coefficients })["coef"]!;
      const onHost = new Float32Array(coef.length);
      composition.host!.reduce(at, gradient, own, { coef: onHost });
      closeTo(widen(weights.get(block.name)!), await composed.data(), 1e-6, block.name);
      closeTo(onHost, await reduced.data(), 1e-5, block.name);
    }
    tf.disposeVariables();
  });

  it("counts a block that a vector lacks as zero", async () => {
    const [first] = vectors;
    const partial = { name: "partial", blocks: new Map([...first!.blocks].slice(1)) };
    const coef = new Float32Array(count * 6).fill(0.5);
    const weights = await composeWeights(SPEC.blocks, base, [partial], composition, { coef });
    const [missing] = first!.blocks.keys();
    expect(widen(weights.get(missing!)!)).toEqual(widen(base.get(missing!)!));
  });

  it("refuses a mask of another size than its block", async () => {
    const wrong = partition({ parts: 2, of: () => new Uint8Array(1) });
    await expect(composeWeights(SPEC.blocks, base, vectors, wrong, { coef: new Float32Array(n * count * 2) })).rejects.toThrow(InputError);
  });
});

describe("the plug-in", () => {
  it("makes the same composition from the same seed, and another from another", async () => {
    const coef = normal(n * count * 4, new Random("apply"));
    const weightsOf = async (seed: number): Promise<Float32Array> => {
      const weights = await composeWeights(SPEC.blocks, base, vectors, create({ parts: 4 }, seed), { coef });
      return widen(weights.get("visual.proj")!);
    };
    expect(await weightsOf(11)).toEqual(await weightsOf(11));
    expect(await weightsOf(12)).not.toEqual(await weightsOf(11));
  });

  it("offers the released masks by name, and refuses options that it does not know", () => {
    expect(create({ parts: 4, masks: "released" }).id).toBe("partition");
    for (const wrong of [{}, { parts: 0 }, { parts: 2.5 }, { parts: 4, masks: "random" }, { parts: 4, extra: 1 }]) {
      expect(plugin.options.safeParse(wrong).success).toBe(false);
    }
  });
});
