import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { learnOnFeatures, NonFiniteError, PlainBackend } from "../src/index.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

it.each(PLAIN_BACKENDS)("learning on features stops at a gradient that is not a number though the loss is, on %s", async (name) => {
  await new PlainBackend(name).activate();
  const parameters = [{ name: "root", shape: [1], initial: Float32Array.of(0), learningRate: 0.1 }];
  const steps: number[] = [];
  const run = learnOnFeatures({ parameters, loss: ({ root }) => tf.sum(tf.sqrt(root!)), steps: 1, what: "probe", onStep: ({ step }) => { steps.push(step); } });
  const error: unknown = await run.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(NonFiniteError);
  expect((error as Error).message).toMatch(/^probe: the gradient's norm is (Infinity|NaN) at step 1\./);
  expect(steps).toEqual([]);
});
