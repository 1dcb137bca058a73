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

test("a large data set is classified in parts, which a classifier that compares it with many keys needs", async () => {
  const rows = 5000;
  const features = Float32Array.from({ length: 2 * rows }, (_, i) => Math.sin(i * i));
  const many = { features, width: 2, labels: Int32Array.from({ length: rows }, (_, row) => Number(features[2 * row + 1]! > features[2 * row]!)) };
  const seen: number[] = [];
  const logits = (part: tf.Tensor2D): tf.Tensor2D => {
    seen.push(part.shape[0]);
    return part;
  };
  const before = tf.memory().numTensors;
  expect(await accuracyOf(many, logits)).toEqual({ correct: rows, total: rows, accuracy: 1 });
  expect(seen.reduce((sum, count) => sum + count, 0)).toBe(rows);
  expect(Math.max(...seen)).toBeLessThan(2000);
  expect(tf.memory().numTensors).toBe(before);
});
