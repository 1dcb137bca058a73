import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { crossEntropy, headLogits, InputError, PlainBackend, SlicedCrossEntropyObjective, type ClassificationHead } from "../src/index.js";
import "./plain-backends.js";

const heads: ClassificationHead[] = [2, 3].map((classes) => ({
  name: `${classes} classes`,
  classNames: Array.from({ length: classes }, (_, i) => String(i)),
  width: 2,
  weight: Float32Array.from({ length: 2 * classes }, (_, i) => Math.sin(i + classes)),
}));
const objective = new SlicedCrossEntropyObjective(heads.map((head, i) => ({ head, weight: i === 0 ? -1 : 1 })));
const batchOf = (...labels: number[][]) => ({
  images: { data: new Float32Array(0), shape: [0] },
  labels: labels.map((own) => Int32Array.from(own)),
});

describe("cross-entropies of slices", () => {
  beforeAll(() => new PlainBackend("cpu").activate());

  it("are weighted and added, each with its own head and its own mean", async () => {
    const before = tf.memory().numTensors;
    const values = tf.tidy(() => {
      const features = tf.tensor2d([1, 2, -1, 0.5, 0.3, 0.3], [3, 2]);
      const part = (from: number, count: number): tf.Tensor2D => tf.slice2d(features, [from, 0], [count, -1]);
      const loss = objective.loss([features], batchOf([1], [2, 0]));
      const forget = crossEntropy(headLogits(heads[0]!, part(0, 1)), Int32Array.of(1));
      const keep = crossEntropy(headLogits(heads[1]!, part(1, 2)), Int32Array.of(2, 0));
      return tf.stack([loss, tf.sub(keep, forget)]);
    });
    const [got, want] = await values.data();
    values.dispose();
    expect(got).toBeCloseTo(want!, 6);
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each([
    ["too few slices", [[0, 1]]],
    ["an empty slice", [[], [0, 1]]],
    ["more labels than images", [[0], [0, 1]]],
  ])("refuse %s", (_what, labels) => {
    tf.tidy(() => {
      const features = tf.zeros([2, 2]) as tf.Tensor2D;
      expect(() => objective.loss([features], batchOf(...labels))).toThrow(InputError);
    });
  });

  it("need a head", () => {
    expect(() => new SlicedCrossEntropyObjective([])).toThrow(InputError);
  });
});
