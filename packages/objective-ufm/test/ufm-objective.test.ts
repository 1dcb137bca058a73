import { createContainer, PlainBackend, Random, registerGradients, resolvePlugin, type Predictions } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { closeTo } from "../../core/test/fixture-files.js";
import "../../core/test/plain-backends.js";
import { plugin, trustedPerClass, trustedSet, ufmLoss, UfmObjective, ufmOptions, type UfmTargets } from "../src/index.js";

const RAW: UfmTargets = { exponent: 1, confidence: "raw", thresholdTrusted: false };

beforeAll(async () => {
  await new PlainBackend("cpu").activate();
  registerGradients();
});

/** The loss of one image with these probabilities in its weak view and even ones in its strong view. */
function lossOf(probabilities: number[], trusted: number, targets: UfmTargets, threshold: number): number {
  return tf.tidy(() => ufmLoss(
    tf.log(tf.tensor2d([probabilities])) as tf.Tensor2D, tf.tensor2d([[0, Math.log(3)]]), Int32Array.of(trusted), targets, threshold,
  ).dataSync()[0]!);
}

describe("the loss", () => {
  const strong = [1 / 4, 3 / 4];
  const crossEntropy = (target: number[]): number => -target.reduce((sum, share, c) => sum + share * Math.log(strong[c]!), 0);

  it("takes σ(p) = pᵉ / Σ pᵉ for target", () => {
    const flattened = [Math.sqrt(0.9), Math.sqrt(0.1)].map((value, _c, all) => value / (all[0]! + all[1]!));
    const sharpened = [0.81, 0.01].map((value) => value / 0.82);
    closeTo(lossOf([0.9, 0.1], -1, { ...RAW, exponent: 0.5 }, 0), crossEntropy(flattened), 1e-5);
    closeTo(lossOf([0.9, 0.1], -1, { ...RAW, exponent: 2 }, 0), crossEntropy(sharpened), 1e-5);
  });

  it("compares the raw or the sharpened confidence with ω", () => {
    // 0.9 sharpened is 0.988.
    expect(lossOf([0.9, 0.1], -1, { ...RAW, exponent: 2 }, 0.95)).toBe(0);
    expect(lossOf([0.9, 0.1], -1, { ...RAW, exponent: 2, confidence: "sharpened" }, 0.95)).toBeGreaterThan(0);
  });

  it("never holds trusted images to the threshold, unless it is asked to", () => {
    closeTo(lossOf([0.5, 0.5], 1, RAW, 1), crossEntropy([0, 1]), 1e-6);
    expect(lossOf([0.5, 0.5], 1, { ...RAW, thresholdTrusted: true }, 1)).toBe(0);
  });
});

describe("ω", () => {
  const objective = new UfmObjective({ name: "h", classNames: [], width: 0, weight: new Float32Array(0) }, ufmOptions.parse({ omegaStart: 0.8, omegaEnd: 1 }));

  it("rises linearly over the steps, and stays below its end at the last", () => {
    closeTo([0, 5, 9].map((step) => objective.threshold({ step, steps: 10 })), [0.8, 0.9, 0.98], 1e-12);
  });
});

describe("the objective", () => {
  // Unit features times this head: the weak view's prediction is 9 to 1, the strong view's is even.
  const head = { name: "two", classNames: ["a", "b"], width: 2, weight: Float32Array.of(Math.log(9), 0, 0, Math.log(9)) };
  const objective = new UfmObjective(head, ufmOptions.parse({ exponent: 1, confidence: "raw", omegaStart: 0.8, omegaEnd: 1 }));
  const [weak, strong] = [{ data: Float32Array.of(1), shape: [1, 1] }, { data: Float32Array.of(2), shape: [1, 1] }];
  const batch = { weak, strong, trusted: Int32Array.of(-1) };

  it("looks at the weak view without a gradient, and at the strong one with", () => {
    expect(objective.views(batch)).toEqual([{ ...weak, gradient: false }, strong]);
  });

  it("teaches the strong view what the weak one says, as long as that exceeds ω of the step", () => {
    const lossAt = (step: number): number => tf.tidy(() =>
      objective.loss([tf.tensor2d([[2, 0]]), tf.tensor2d([[1, 1]])], batch, {}, { step, steps: 10, epoch: 1 }).dataSync()[0]!);
    closeTo(lossAt(0), Math.log(2), 1e-6);
    closeTo(lossAt(4), Math.log(2), 1e-6);
    expect(lossAt(6)).toBe(0);
  });
});

describe("the trusted set", () => {
  const predictions = (rows: number[][]): Predictions => ({ probabilities: Float32Array.from(rows.flat()), classes: rows[0]!.length });

  it("has min(N / C, 100) images a class", () => {
    const even = (rows: number, classes: number): Predictions => ({ probabilities: new Float32Array(rows * classes).fill(1 / classes), classes });
    expect(trustedPerClass(even(2000, 10))).toBe(100);
    expect(trustedPerClass(even(59, 10))).toBe(5);
    expect(trustedPerClass(even(9, 10))).toBe(0);
    expect(trustedPerClass(even(2000, 10), 7)).toBe(7);
  });

  it("has as many of a class that the model hardly ever predicts", () => {
    const { indices, labels } = trustedSet(predictions([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]), 1);
    expect([...indices]).toEqual([0, 3]);
    expect([...labels]).toEqual([0, 1]);
  });

  it("gives an image that is chosen for two classes to the more probable one", () => {
    const { indices, labels } = trustedSet(predictions([[0.4, 0.35, 0.25], [0.3, 0.2, 0.5], [0.35, 0.3, 0.35]]), 2);
    const of = new Map(Array.from(indices, (row, i) => [row, labels[i]]));
    expect(of.get(0)).toBe(0);
    expect(of.get(1)).toBe(2);
  });

  it("takes the first of images that are equally probable, and each once", () => {
    const random = new Random(1);
    const rows = Array.from({ length: 30 }, () => { const p = Math.round(4 * random.next()) / 4; return [p, 1 - p]; });
    const { indices } = trustedSet(predictions(rows), 10);
    expect(new Set(indices).size).toBe(indices.length);
    expect([...trustedSet(predictions([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]), 1).indices]).toEqual([0]);
  });

  it.each([1, 5, 33, 60])("has of each class the %i images that sorting all of them puts first", (perClass) => {
    const random = new Random(perClass);
    // Few different values: many images are equally probable.
    const rows = Array.from({ length: 400 }, () => Array.from({ length: 12 }, () => Math.round(20 * random.next()) / 20));
    const wanted = new Set(rows[0]!.flatMap((_, label) => {
      return rows.map((row, index) => ({ index, value: Math.fround(row[label]!) })).sort((a, b) => b.value - a.value || a.index - b.index).slice(0, perClass).map(({ index }) => index);
    }));
    expect([...trustedSet(predictions(rows), perClass).indices]).toEqual([...wanted].sort((a, b) => a - b));
  });

  it("is empty where there are fewer images than classes", () => {
    expect(trustedSet(predictions([[0.2, 0.3, 0.5]])).indices).toHaveLength(0);
  });
});

describe("the plug-in", () => {
  it("registers an objective that learns without labels", () => {
    const container = createContainer();
    plugin.register(container);
    expect(resolvePlugin(container, "unsupervised", "ufm").id).toBe("ufm");
  });

  it("knows the paper's and the released settings, and refuses others", () => {
    for (const preset of Object.values(plugin.presets!)) expect(plugin.options.safeParse(preset).success).toBe(true);
    expect(plugin.presets!.paper).toMatchObject({ exponent: 0.5, confidence: "sharpened" });
    for (const wrong of [{ exponent: 0 }, { omegaEnd: 1.5 }, { confidence: "hard" }, { threshold: 1 }]) {
      expect(plugin.options.safeParse(wrong).success).toBe(false);
    }
  });
});
