import {
  accuracyOf, blockwise, createContainer, difference, InputError, learn, PlainBackend, Random, randomParameters, resolvePlugin,
  type AdapterContext, type LabelledBatch, type LabelledFeatures, type NamedHostTensors,
} from "@atlas-tv/core";
import { visionSpec } from "@atlas-tv/clip";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { closeTo } from "../../core/test/fixture-files.js";
import "../../core/test/plain-backends.js";
import { initialCache, plugin, restoredCache, tipAdapter, tipOptions } from "../src/index.js";

const CLASSES = 4;
const WIDTH = 8;
const random = new Random("tip");

/** Clusters of features, and a head that points at them only roughly. */
const centres = Array.from({ length: CLASSES }, () => Float32Array.from({ length: WIDTH }, () => random.normal()));
const head = {
  name: "clusters",
  classNames: ["a", "b", "c", "d"],
  width: WIDTH,
  weight: Float32Array.from(centres.flatMap((centre) => [...centre].map((value) => 2 * (value + 1.5 * random.normal())))),
};

function draw(perClass: number, draws: Random, spread = 0.8): LabelledFeatures {
  const labels = Int32Array.from({ length: perClass * CLASSES }, (_, row) => row % CLASSES);
  const features = Float32Array.from([...labels].flatMap((label) => [...centres[label]!].map((value) => value + spread * draws.normal())));
  return { features, width: WIDTH, labels };
}

const shots = draw(4, random.fork("shots"));
const test = draw(200, random.fork("test"));

function context(more: Partial<AdapterContext> = {}): AdapterContext {
  return { head, shots, options: {}, random: new Random(3), ...more };
}

function copied(state: NamedHostTensors): NamedHostTensors {
  return new Map([...state].map(([name, tensor]) => [name, structuredClone(tensor)]));
}

beforeAll(() => new PlainBackend("cpu").activate());

describe("Tip-Adapter on frozen features", () => {
  it("classifies better than the head that it starts from", async () => {
    const fitted = await tipAdapter.fit(context());
    const zeroShot = await accuracyOf(test, (rows) => tf.tidy(() => tf.matMul(rows, tf.tensor2d(head.weight, [CLASSES, WIDTH]), false, true)));
    expect((await accuracyOf(test, (rows) => fitted.logits(rows))).accuracy).toBeGreaterThan(zeroShot.accuracy);
  });

  it("is restored from its state, to the bit", async () => {
    const fitted = await tipAdapter.fit(context());
    const restored = tipAdapter.restore(copied(fitted.state()), head);
    const rows = tf.tensor2d(test.features, [test.labels.length, WIDTH]);
    const [a, b] = [fitted.logits(rows), restored.logits(rows)];
    expect(await b.data()).toEqual(await a.data());
    tf.dispose([rows, a, b]);
  });

  it("learns the same from the same seed, and leaves no tensor behind", async () => {
    const first = (await tipAdapter.fit(context())).state();
    const before = tf.memory().numTensors;
    const again = (await tipAdapter.fit(context())).state();
    expect(tf.memory().numTensors).toBe(before);
    expect(again).toEqual(first);
  });

  it("moves keys, and β and α, each at its own rate", async () => {
    const moved = async (options: Record<string, unknown>): Promise<{ keys: number; scales: number }> => {
      const [start, { keys, betaAlpha }] = [initialCache(shots), restoredCache((await tipAdapter.fit(context({ options: { epochs: 1, ...options } }))).state(), head)];
      const largest = (a: Float32Array, b: Float32Array): number => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
      return { keys: largest(keys, start.keys), scales: largest(betaAlpha, start.betaAlpha) };
    };
    // Ten steps of AdamW on a cosine go 5.5 times the rate at most, and about as far where the gradient keeps its sign.
    const [alike, slow, fast] = [await moved({}), await moved({ scaleLearningRate: 1e-5 }), await moved({ scaleLearningRate: 0.1 })];
    for (const { keys } of [alike, slow, fast]) expect(Math.abs(keys - 5e-3)).toBeLessThan(1.5e-3);
    for (const [{ scales }, rate] of [[alike, 1e-3], [slow, 1e-5], [fast, 0.1]] as const) {
      expect(scales / rate).toBeGreaterThan(2);
      expect(scales / rate).toBeLessThan(6);
    }
  });

  it("takes shots of which a class, the last one too, has none", async () => {
    const without = { ...shots, ...{ labels: shots.labels.map((label) => Math.min(label, CLASSES - 2)) } };
    const fitted = await tipAdapter.fit(context({ shots: without, options: { epochs: 1 } }));
    const logits = fitted.logits(tf.tensor2d(test.features, [test.labels.length, WIDTH]));
    expect(logits.shape).toEqual([test.labels.length, CLASSES]);
    logits.dispose();
  });

  it("tells of its progress, and stops when it is told to", async () => {
    const seen: number[] = [];
    const stop = new AbortController();
    const work = tipAdapter.fit(context({
      signal: stop.signal,
      onProgress: (step) => { seen.push(step); if (step === 3) stop.abort(); },
    }));
    await expect(work).rejects.toThrow("stopped");
    expect(seen).toEqual([1, 2, 3]);
  });

  it.each([
    ["no shots", { shots: { features: new Float32Array(0), width: WIDTH, labels: new Int32Array(0) } }, "no labelled features"],
    ["a label without a class", { shots: { ...shots, labels: shots.labels.map(() => CLASSES) } }, "label 4"],
    ["features of another width", { shots: { features: shots.features, width: WIDTH / 2, labels: new Int32Array(2 * shots.labels.length) } }, "rows of 4"],
  ] as const)("refuses %s", async (_what, more, message) => {
    await expect(tipAdapter.fit(context(more))).rejects.toThrow(InputError);
    await expect(tipAdapter.fit(context(more))).rejects.toThrow(message);
  });

  it("refuses a state that is not whole, of another head, or with labels that have no class", async () => {
    const state = (await tipAdapter.fit(context({ options: { epochs: 1 } }))).state();
    const changed = (name: string, data: Float32Array | null): NamedHostTensors => {
      const copy = new Map(copied(state));
      if (data === null) copy.delete(name);
      else copy.set(name, { dtype: "F32", shape: [data.length], data });
      return copy;
    };
    for (const wrong of [changed("keys", null), changed("beta_alpha", new Float32Array(3)), changed("labels", new Float32Array(shots.labels.length).fill(9))]) {
      expect(() => tipAdapter.restore(wrong, head)).toThrow(InputError);
    }
    expect(() => tipAdapter.restore(state, { ...head, width: 2 * WIDTH })).toThrow(InputError);
  });
});

describe("Tip-Adapter learned jointly", () => {
  const spec = visionSpec({
    embed_dim: WIDTH,
    vision_cfg: { image_size: 8, layers: 1, width: 8, head_width: 4, patch_size: 4 },
    text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 },
  });
  const draws = new Random("joint");
  const base = randomParameters(spec, draws.fork("base"));
  const vectors = ["a", "b"].map((name) => difference(name, base, randomParameters(spec, draws.fork(name))));
  const batch: LabelledBatch = {
    images: { data: Float32Array.from({ length: 4 * 8 * 8 * 3 }, () => draws.normal()), shape: [4, 8, 8, 3] },
    labels: Int32Array.of(0, 1, 2, 3),
  };

  it("moves λ, keys, β and α, each at its own rate, and gives the classifier of what it learned", async () => {
    const encoder = await new PlainBackend("cpu").compile(spec, base, vectors, blockwise());
    const start = await encoder.compose(encoder.initialCoefficients());
    const image = tf.tensor(batch.images.data, [...batch.images.shape]);
    const features = await start.features(image);
    const encoded: LabelledFeatures = { features: Float32Array.from(await features.data()), width: WIDTH, labels: batch.labels };
    start.dispose();
    tf.dispose([image, features]);
    const joint = tipAdapter.joint!(context({ shots: encoded, options: { jointScaleLearningRate: 0.02 } }));
    const initial = Object.fromEntries(joint.objective.parameters!.map(({ name, initial: values }) => [name, values]));
    const { last } = await learn({ encoder, objective: joint.objective, batches: () => [batch], batchesPerEpoch: 1, epochs: 1, learningRate: 0.1 });
    const largestStep = (name: string): number => Math.max(...last[name]!.map((value, i) => Math.abs(value - (initial[name]?.[i] ?? 0))));
    // AdamW's first step is the rate times the gradient's sign, beside the decay.
    closeTo(largestStep("coef"), 0.1, 1e-2);
    expect(largestStep("keys")).toBeGreaterThan(5e-4);
    expect(largestStep("keys")).toBeLessThan(1.2e-3);
    closeTo(largestStep("beta_alpha"), 0.02, 2e-3);
    const state = joint.fitted(last).state();
    expect(state.get("keys")!.data).toEqual(last["keys"]);
    expect(tipAdapter.restore(state, head).state()).toEqual(state);
    encoder.dispose();
  });
});

describe("the plug-in", () => {
  it("moves β and α at the rate of λ with the paper's preset, and at that of the keys by default", () => {
    const rate = (preset: object): number => tipOptions.parse(preset).jointScaleLearningRate;
    expect(rate({})).toBe(tipOptions.parse({}).learningRate);
    for (const preset of ["paper", "released"] as const) expect(rate(plugin.presets![preset]!)).toBe(0.1);
  });

  it("registers the adapter, and refuses options that it does not know", () => {
    const container = createContainer();
    plugin.register(container);
    expect(resolvePlugin(container, "adapter", "tip")).toBe(tipAdapter);
    for (const wrong of [{ epochs: 0 }, { learningRate: -1 }, { beta: 3 }]) expect(plugin.options.safeParse(wrong).success).toBe(false);
  });
});
