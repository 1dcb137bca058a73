import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { visionSpec } from "@atlas-tv/clip";
import { blockwise, createContainer, difference, PlainBackend, Random, randomParameters, resolvePlugin, type Backend, type NamedArrays } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { plugin, ResidentBlockStore } from "../src/resident-backend.js";

const spec = visionSpec({
  embed_dim: 8,
  vision_cfg: { image_size: 8, layers: 1, width: 8, head_width: 4, patch_size: 4 },
  text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 },
});
const random = new Random(1);
const base = randomParameters(spec, random.fork("base"));
const vectors = ["a", "b"].map((name) => difference(name, base, randomParameters(spec, random.fork(name))));
const coef = Float32Array.from({ length: vectors.length * spec.blocks.length }, () => random.normal() / 4);
const images = Float32Array.from({ length: 3 * 8 * 8 * 3 }, () => random.normal());

const container = createContainer();
plugin.register(container);
const resident = resolvePlugin(container, "backend", "resident");

beforeAll(() => resident.activate());

interface Step {
  readonly features: Float32Array;
  readonly gradients: NamedArrays;
}

async function twoSteps(backend: Backend): Promise<Step[]> {
  const encoder = await backend.compile(spec, base, vectors, blockwise());
  const inputs = tf.tensor4d(images, [3, 8, 8, 3]);
  const steps: Step[] = [];
  for (const scale of [1, -0.5]) {
    const composed = await encoder.compose({ coef: coef.map((value) => scale * value) });
    const pass = await composed.forward(inputs);
    steps.push({ features: await pass.features.data<"float32">(), gradients: await pass.backward(pass.features) });
    pass.dispose();
    composed.dispose();
  }
  inputs.dispose();
  encoder.dispose();
  return steps;
}

describe("a backend from outside the packages", () => {
  it("computes the features and gradients of core's own, to the bit", async () => {
    const own = await twoSteps(resident);
    expect(own).toEqual(await twoSteps(new PlainBackend("wasm")));
    expect(own[0]!.gradients["coef"]!.some((value) => value !== 0)).toBe(true);
  });

  it("leaves no tensor behind", async () => {
    const tensors = tf.memory().numTensors;
    await twoSteps(resident);
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it("uploads every block once, however often it is asked for", () => {
    const store = new ResidentBlockStore(base, vectors);
    const [block] = spec.blocks;
    const at = { block: block!, index: 0, count: spec.blocks.length };
    const before = tf.memory().numDataBuffers;
    for (let i = 0; i < 3; i++) tf.dispose([store.base(at), ...store.vectors(at)]);
    expect(store.resident).toBe(2);
    expect(tf.memory().numDataBuffers - before).toBe(1 + vectors.length);
    store.dispose();
    expect(tf.memory().numDataBuffers).toBe(before);
  });
});

it("the example learns the same coefficients with it as with core's own backend, from real images", async () => {
  const script = fileURLToPath(new URL("../dist/main.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, "--quick"]);
  expect(stdout).toMatch(/^resident +loss/m);
  expect(stdout).toMatch(/^largest difference of 392 learned coefficients: 0$/m);
}, 120_000);
