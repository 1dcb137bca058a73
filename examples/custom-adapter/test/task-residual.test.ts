import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { beforeAll, describe, expect, it } from "vitest";
import { accuracyOf, createContainer, crossEntropy, headLogits, Random, resolvePlugin, type AdapterContext, type AdapterFactory, type ClassificationHead } from "@atlas-tv/core";
import { plugin } from "../src/task-residual.js";

const random = new Random(1);
const numbers = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal());

const head: ClassificationHead = { name: "toy", classNames: ["a", "b", "c"], width: 4, weight: numbers(12).map((value) => 3 * value) };
/** Features that have nothing to do with the head's text embeddings. */
const shots = { features: numbers(36), width: 4, labels: Int32Array.from({ length: 9 }, (_, i) => i % 3) };
const context: AdapterContext = { head, shots, options: { learningRate: 0.1 }, random };

function adapter(): AdapterFactory {
  const container = createContainer();
  plugin.register(container);
  return resolvePlugin(container, "adapter", "task-residual");
}

beforeAll(async () => { await tf.setBackend("cpu"); });

describe("a task residual", () => {
  it("starts as the zero-shot head", () => {
    const joint = adapter().joint!(context);
    const [initial] = joint.objective.parameters!;
    tf.tidy(() => {
      const features = tf.tensor2d(shots.features, [9, 4]);
      const own = joint.fitted({ residual: initial!.initial }).logits(features).dataSync();
      headLogits(head, features).dataSync().forEach((value, i) => { expect(own[i]).toBeCloseTo(value, 5); });
    });
  });

  it("learns what the head does not say", async () => {
    const fitted = await adapter().fit(context);
    const before = await accuracyOf(shots, (rows) => headLogits(head, rows));
    const after = await accuracyOf(shots, (rows) => fitted.logits(rows));
    expect(after.correct).toBeGreaterThan(before.correct);
  });

  it("restores itself from what it saved, and leaves no tensor behind", async () => {
    const factory = adapter();
    const tensors = tf.memory().numTensors;
    const fitted = await factory.fit(context);
    const logits = (of: typeof fitted): Float32Array => tf.tidy(() => of.logits(tf.tensor2d(shots.features, [9, 4])).dataSync<"float32">());
    expect(logits(factory.restore(fitted.state(), head))).toEqual(logits(fitted));
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it("has a joint loss that is cross-entropy of its logits", () => {
    const { objective, fitted } = adapter().joint!(context);
    const residual = numbers(12);
    tf.tidy(() => {
      const features = tf.tensor2d(shots.features, [9, 4]);
      const batch = { images: { data: new Float32Array(0), shape: [0] }, labels: shots.labels };
      const parameters = { residual: tf.tensor(residual, [3, 4]) };
      const loss = objective.loss([features], batch, parameters, { step: 0, steps: 1, epoch: 1 }).dataSync()[0];
      expect(loss).toBeCloseTo(crossEntropy(fitted({ residual }).logits(features), shots.labels).dataSync()[0]!, 5);
    });
  });

  it("refuses options that its schema does not know how to read", async () => {
    await expect(adapter().fit({ ...context, options: { steps: 0 } })).rejects.toThrow();
  });
});

it("the example is better than zero-shot on real images, alone and beside the coefficients", async () => {
  const script = fileURLToPath(new URL("../dist/main.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, "--quick"]);
  const [zeroShot, , alone, joint] = [...stdout.matchAll(/([\d.]+)% of 2000 test images/g)].map(([, percent]) => Number(percent));
  expect(alone).toBeGreaterThan(zeroShot!);
  expect(joint).toBeGreaterThan(zeroShot!);
}, 120_000);
