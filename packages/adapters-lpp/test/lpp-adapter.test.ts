import {
  accuracyOf, createContainer, headLogits, InputError, PlainBackend, Random, resolvePlugin, type AdapterContext, type LabelledFeatures, type NamedHostTensors,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { closeTo } from "../../core/test/fixture-files.js";
import "../../core/test/plain-backends.js";
import { largestEigenvalue, lppAdapter, lppStart, plugin } from "../src/index.js";

const CLASSES = 4;
const WIDTH = 8;
const random = new Random("lpp");
const centres = Array.from({ length: CLASSES }, () => Float32Array.from({ length: WIDTH }, () => random.normal()));

/** A head of unit rows times a scale that is not CLIP's. */
function headOf(scale: number): { name: string; classNames: string[]; width: number; weight: Float32Array } {
  const draws = new Random("head");
  const rows = centres.map((centre) => [...centre].map((value) => value + 0.8 * draws.normal()));
  const weight = Float32Array.from(rows.flatMap((row) => row.map((value) => (scale * value) / Math.hypot(...row))));
  return { name: "clusters", classNames: ["a", "b", "c", "d"], width: WIDTH, weight };
}

const head = headOf(20);

function draw(perClass: number, draws: Random): LabelledFeatures {
  const labels = Int32Array.from({ length: perClass * CLASSES }, (_, row) => row % CLASSES);
  const features = Float32Array.from([...labels].flatMap((label) => [...centres[label]!].map((value) => value + 0.8 * draws.normal())));
  return { features, width: WIDTH, labels };
}

const shots = draw(4, random.fork("shots"));
const test = draw(200, random.fork("test"));

function context(more: Partial<AdapterContext> = {}): AdapterContext {
  return { head, shots, options: {}, random: new Random(3), ...more };
}

beforeAll(() => new PlainBackend("cpu").activate());

describe("LP++", () => {
  it("classifies better than the head that it blends in", async () => {
    const fitted = await lppAdapter.fit(context());
    const zeroShot = await accuracyOf(test, (rows) => headLogits(head, rows));
    expect((await accuracyOf(test, (rows) => fitted.logits(rows))).accuracy).toBeGreaterThan(zeroShot.accuracy);
  });

  it("is restored from its state, to the bit, and leaves no tensor behind", async () => {
    const fitted = await lppAdapter.fit(context({ options: { epochs: 20 } }));
    const before = tf.memory().numTensors;
    const restored = lppAdapter.restore(new Map([...fitted.state()].map(([name, tensor]) => [name, structuredClone(tensor)])), head);
    const rows = tf.tensor2d(test.features, [test.labels.length, WIDTH]);
    const [a, b] = [fitted.logits(rows), restored.logits(rows)];
    expect(await b.data()).toEqual(await a.data());
    tf.dispose([rows, a, b]);
    await lppAdapter.fit(context({ options: { epochs: 2 } }));
    await lppAdapter.fit(context({ options: { epochs: 2, optimiser: "adamw" } }));
    expect(tf.memory().numTensors).toBe(before);
  });

  it("takes the logit scale from the head: the blend grows with it, the step sizes do not", () => {
    const [small, large] = [lppStart(headOf(10), shots), lppStart(headOf(100), shots)];
    closeTo(large.parameters.alpha, small.parameters.alpha.map((value) => 10 * value), 1e-5);
    closeTo(large.alphaRate, small.alphaRate, 1e-5);
    expect(large.weightRate).toBe(small.weightRate);
  });

  it("takes shots of which a class, the last one too, has none", async () => {
    const without = { ...shots, labels: shots.labels.map((label) => Math.min(label, CLASSES - 2)) };
    const fitted = await lppAdapter.fit(context({ shots: without, options: { epochs: 5 } }));
    const logits = fitted.logits(tf.tensor2d(test.features, [test.labels.length, WIDTH]));
    expect(logits.shape).toEqual([test.labels.length, CLASSES]);
    expect((await logits.data()).every(Number.isFinite)).toBe(true);
    logits.dispose();
  });

  it("tells of its progress, and stops when it is told to", async () => {
    const stop = new AbortController();
    const seen: number[] = [];
    const work = lppAdapter.fit(context({ signal: stop.signal, onProgress: (step) => { seen.push(step); if (step === 4) stop.abort(); } }));
    await expect(work).rejects.toThrow("stopped");
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  it("stops at a signal that comes from outside while it is fitted", async () => {
    const stop = new AbortController();
    setTimeout(() => { stop.abort(); }, 10);
    await expect(lppAdapter.fit(context({ signal: stop.signal, options: { epochs: 1_000_000 } }))).rejects.toThrow("stopped while LP++ was fitted");
  });

  it("refuses shots and states that do not fit the head", async () => {
    await expect(lppAdapter.fit(context({ shots: { ...shots, labels: shots.labels.map(() => CLASSES) } }))).rejects.toThrow(InputError);
    const state = (await lppAdapter.fit(context({ options: { epochs: 1 } }))).state();
    expect(() => lppAdapter.restore(state, { ...head, classNames: ["a", "b"] })).toThrow(InputError);
    const without: NamedHostTensors = new Map([...state].filter(([name]) => name !== "alpha"));
    expect(() => lppAdapter.restore(without, head)).toThrow('tensor "alpha"');
    expect(() => lppStart({ ...head, weight: new Float32Array(head.weight.length) }, shots)).toThrow("zeros");
  });
});

describe("the largest eigenvalue", () => {
  it("is that of rows that span one direction, or two", () => {
    expect(largestEigenvalue(Float32Array.of(3, 4, 6, 8), 2)).toBeCloseTo(125, 9);
    expect(largestEigenvalue(Float32Array.of(1, 0, 0, 2), 2)).toBeCloseTo(4, 9);
    // Rows that cancel have no mean direction.
    expect(largestEigenvalue(Float32Array.of(1, 0, -1, 0), 2)).toBeCloseTo(2, 9);
  });
});

describe("the plug-in", () => {
  it("registers the adapter, knows what the released code does, and refuses other options", () => {
    const container = createContainer();
    plugin.register(container);
    expect(resolvePlugin(container, "adapter", "lpp")).toBe(lppAdapter);
    expect(plugin.options.safeParse(plugin.presets!.released).success).toBe(true);
    for (const wrong of [{ epochs: 0 }, { optimiser: "adam" }, { rate: 3 }]) expect(plugin.options.safeParse(wrong).success).toBe(false);
  });
});
