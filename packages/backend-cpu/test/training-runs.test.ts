import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { visionSpec } from "@atlas-tv/clip";
import {
  blockwise, dense, initAdamW, inputTensor, stepAdamW, type CompiledEncoder, type Composition, type NamedArrays,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { CpuBackend } from "../src/index.js";
import { smallInputs, smallModel, type SmallModel } from "./small-models.js";

const backend = new CpuBackend();
const spec = visionSpec({
  embed_dim: 32,
  quick_gelu: true,
  vision_cfg: { image_size: 16, layers: 2, width: 32, head_width: 16, patch_size: 4 },
  text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 1, layers: 1 },
});
const { base, vectors } = smallModel(spec, 2);
const MODELS: Readonly<Record<string, SmallModel>> = {
  vit: { spec, base, vectors },
  resnet: smallModel(visionSpec({
    embed_dim: 16,
    vision_cfg: { image_size: 32, layers: [1, 1, 2, 1], width: 6, head_width: 48 },
    text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 1, layers: 1 },
  }), 2),
};
const COMPOSITIONS: Readonly<Record<string, () => Composition>> = { dense, blockwise };

/** Steps down Σ features² / 2; batches differ in size. */
async function train(
  { spec }: SmallModel,
  encoder: CompiledEncoder,
  steps: number,
  onStep: (step: number) => void = () => undefined,
): Promise<NamedArrays> {
  const values = Object.fromEntries(Object.entries(encoder.initialCoefficients()).map(([name, array]) => [name, array.slice()]));
  let state = initAdamW(values);
  for (let step = 1; step <= steps; step++) {
    const images = inputTensor(smallInputs(spec, step % 5 === 0 ? 3 : 8, step));
    const composed = await encoder.compose(values);
    const pass = await composed.forward(images);
    const gradients = await pass.backward(pass.features);
    (await composed.features(images)).dispose();
    pass.dispose();
    composed.dispose();
    images.dispose();
    state = stepAdamW(values, gradients, state, 1e-3);
    onStep(step);
  }
  return values;
}

const RUNS = Object.keys(MODELS).flatMap((model) => Object.keys(COMPOSITIONS).map((composition) => [model, composition] as const));

describe.each(RUNS)("training a %s with a %s composition", (name, composition) => {
  const model = MODELS[name]!;
  const { spec, base, vectors } = model;
  const make = COMPOSITIONS[composition]!;

  it("gives the same bytes twice", async () => {
    await backend.activate();
    const runs: NamedArrays[] = [];
    for (let run = 0; run < 2; run++) {
      const encoder = await backend.compile(spec, base, vectors, make());
      runs.push(await train(model, encoder, 12));
      encoder.dispose();
    }
    const [first, second] = runs as [NamedArrays, NamedArrays];
    for (const [tensor, values] of Object.entries(first)) {
      expect(Buffer.from(values.buffer).equals(Buffer.from(second[tensor]!.buffer)), tensor).toBe(true);
    }
    const start = (await backend.compile(spec, base, vectors, make())).initialCoefficients();
    expect(Object.entries(start).some(([tensor, values]) => values.some((value, i) => value !== first[tensor]![i]))).toBe(true);
  });

  it("holds memory and tensors flat from step 3 to step 200", async () => {
    await backend.activate();
    setFlagsFromString("--expose_gc");
    const collect = runInNewContext("gc") as () => void;
    const encoder = await backend.compile(spec, base, vectors, make());
    const tensors = tf.memory().numTensors;
    const held = new Map<number, NodeJS.MemoryUsage>();
    await train(model, encoder, 200, (step) => {
      if (step !== 3 && step !== 200) return;
      collect();
      collect();
      held.set(step, process.memoryUsage());
    });
    expect(tf.memory().numTensors).toBe(tensors);
    const [early, late] = [held.get(3)!, held.get(200)!];
    expect(late.arrayBuffers - early.arrayBuffers).toBeLessThan(1e6);
    expect(late.external - early.external).toBeLessThan(1e6);
    expect(late.rss - early.rss).toBeLessThan(20e6);
    encoder.dispose();
  });
});

describe("encoders and passes", () => {
  it("refuse to go on after they were disposed, and a second backward", async () => {
    await backend.activate();
    const encoder = await backend.compile(spec, base, vectors, blockwise());
    const composed = await encoder.compose(encoder.initialCoefficients());
    const images = inputTensor(smallInputs(spec, 2));
    const pass = await composed.forward(images);
    await pass.backward(pass.features);
    await expect(pass.backward(pass.features)).rejects.toThrow("taken back");
    pass.dispose();
    const open = await composed.forward(images);
    composed.dispose();
    await expect(open.backward(open.features)).rejects.toThrow("composed encoder was disposed");
    await expect(composed.features(images)).rejects.toThrow("composed encoder was disposed");
    await expect(composed.forward(images)).rejects.toThrow("composed encoder was disposed");
    open.dispose();
    encoder.dispose();
    await expect(encoder.compose({})).rejects.toThrow("disposed");
    images.dispose();
  });

  it("take other task vectors, of another number, without compiling anew", async () => {
    await backend.activate();
    const images = inputTensor(smallInputs(spec, 2));
    const featuresOf = async (encoder: CompiledEncoder): Promise<Float32Array> => {
      const coef = new Float32Array(encoder.vectorCount * spec.blocks.length).fill(0.3);
      const composed = await encoder.compose({ coef });
      const features = await composed.features(images);
      const values = Float32Array.from(await features.data());
      features.dispose();
      composed.dispose();
      return values;
    };
    const encoder = await backend.compile(spec, base, vectors, blockwise());
    const both = await featuresOf(encoder);
    await encoder.setVectors(vectors.slice(1));
    const one = await featuresOf(encoder);
    encoder.dispose();
    const fresh = await backend.compile(spec, base, vectors.slice(1), blockwise());
    expect(one).toEqual(await featuresOf(fresh));
    expect(one).not.toEqual(both);
    fresh.dispose();
    images.dispose();
  });
});
