import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { measureTensorRates, PlainBackend } from "../src/index.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

describe.each(PLAIN_BACKENDS)("the rates of tfjs's %s backend", (name) => {
  it("are those that its own operations reach, and leave no tensor behind", async () => {
    await new PlainBackend(name).activate();
    const before = tf.memory().numTensors;
    const { flops, bytesPerSecond } = await measureTensorRates(0.1);
    expect(tf.memory().numTensors).toBe(before);

    // The same product, timed here: a rate in other units would be off by orders of magnitude.
    const side = 256;
    const matrix = tf.fill([side, side], 0.5) as tf.Tensor2D;
    const start = performance.now();
    const product = tf.matMul(matrix, matrix);
    await product.data();
    const own = (2 * side ** 3) / ((performance.now() - start) / 1000);
    tf.dispose([matrix, product]);
    expect(flops).toBeGreaterThan(own / 20);
    expect(flops).toBeLessThan(own * 200);
    // No machine that runs these tests reads less than 50 MB or more than 5 TB a second.
    expect(bytesPerSecond).toBeGreaterThan(5e7);
    expect(bytesPerSecond).toBeLessThan(5e12);
  });
});
