import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { beforeAll, describe, expect, it } from "vitest";
import { createContainer, crossEntropy, headLogits, resolvePlugin, type ClassificationHead, type LabelledBatch } from "@atlas-tv/core";
import { FocalLoss, plugin } from "../src/focal-loss.js";

const head: ClassificationHead = { name: "toy", classNames: ["a", "b", "c"], width: 4, weight: Float32Array.from({ length: 12 }, (_, i) => Math.sin(i) * 3) };
const batch: LabelledBatch = { images: { data: new Float32Array(0), shape: [0] }, labels: Int32Array.of(0, 1, 2, 1) };
const features = () => tf.tensor2d(Float32Array.from({ length: 16 }, (_, i) => Math.cos(3 * i)), [4, 4]);

beforeAll(async () => { await tf.setBackend("cpu"); });

describe("focal loss", () => {
  it("is cross-entropy where gamma is 0, and less where it is not", () => {
    const [plain, zero, two] = tf.tidy(() => {
      const rows = features();
      const at = (gamma: number) => new FocalLoss({ heads: [head], options: {} }, gamma).loss([rows], batch).dataSync()[0]!;
      return [crossEntropy(headLogits(head, rows), batch.labels).dataSync()[0]!, at(0), at(2)];
    });
    expect(zero).toBeCloseTo(plain, 5);
    expect(two).toBeLessThan(plain);
  });

  it("is found by name once its plug-in is registered", () => {
    const container = createContainer();
    plugin.register(container);
    expect(resolvePlugin(container, "objective", "focal").create({ heads: [head], options: { gamma: 1 } })).toBeInstanceOf(FocalLoss);
  });

  it("refuses options that its schema does not know how to read", () => {
    const container = createContainer();
    plugin.register(container);
    expect(() => resolvePlugin(container, "objective", "focal").create({ heads: [head], options: { gamma: -1 } })).toThrow();
  });
});

it("the example learns with it from real images, found by its name", async () => {
  const script = fileURLToPath(new URL("../dist/main.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, "--quick"]);
  const [plain, focal] = ["cross-entropy", "focal"].map((id) => Number(new RegExp(`^${id}: loss ([\\d.]+),`, "m").exec(stdout)?.[1]));
  expect(focal).toBeLessThan(plain!);
}, 120_000);
