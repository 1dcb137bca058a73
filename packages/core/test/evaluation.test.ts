import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { accuracyOf, NonFiniteError, PlainBackend, predictedLabels } from "../src/index.js";
import "@tensorflow/tfjs-backend-cpu";

beforeAll(() => new PlainBackend("cpu").activate());

const data = { features: Float32Array.of(3, 1, 2, 2, -Infinity, 0), width: 2, labels: Int32Array.of(0, 1, 1) };

test("the largest logit of a row is its class, the first of equal ones", async () => {
  const before = tf.memory().numTensors;
  expect([...(await predictedLabels(data, (features) => features))]).toEqual([0, 0, 1]);
  expect(await accuracyOf(data, (features) => features)).toEqual({ correct: 2, total: 3, accuracy: 2 / 3 });
  expect(tf.memory().numTensors).toBe(before);
});

test("logits that are NaN are no prediction", async () => {
  const broken = { ...data, features: Float32Array.of(3, 1, NaN, 2, 1, 0) };
  const before = tf.memory().numTensors;
  await expect(accuracyOf(broken, (features) => features)).rejects.toThrow(NonFiniteError);
  expect(tf.memory().numTensors).toBe(before);
});
