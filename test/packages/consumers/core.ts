import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { difference, norm, Random, registerGradients } from "@atlas-tv/core";

registerGradients();
const slope = tf.grad((x) => tf.sum(tf.mul(tf.softmax(tf.square(x)), x)))(tf.tensor1d([1, 2, 3]));
assert.ok(slope.dataSync().every((value) => Number.isFinite(value) && value !== 0));

const weights = (value: number): Map<string, { dtype: "F32"; shape: number[]; data: Float32Array }> =>
  new Map([["visual.proj", { dtype: "F32", shape: [2, 2], data: new Float32Array(4).fill(value) }]]);
assert.equal(norm(difference("digits", weights(1), weights(1.5))), 1);
assert.equal(new Random(7).next(), new Random(7).next());
