import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { PlainBackend, Random, registerGradients } from "../src/index.js";
import { matrixProduct } from "../src/matrix-product.js";
import { gatherRows } from "../src/row-gather.js";
import { activate, causalMask, layerNorm } from "../src/transformer.js";
import { closeTo } from "./fixture-files.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

/** Values of the standard normal distribution function. */
const PHI: [number, number][] = [
  [-3, 0.0013498980316301], [-1, 0.1586552539314571], [0, 0.5], [0.5, 0.6914624612740131], [1, 0.8413447460685429], [2, 0.9772498680518208],
];

function normal(seed: string, shape: number[]): tf.Tensor {
  const random = new Random(seed);
  return tf.tensor(Float32Array.from({ length: shape.reduce((size, extent) => size * extent, 1) }, () => random.normal()), shape);
}

async function values(make: () => tf.Tensor): Promise<Float32Array> {
  const tensor = tf.tidy(make);
  const data = Float32Array.from(await tensor.data());
  tensor.dispose();
  return data;
}

describe.each(PLAIN_BACKENDS)("the transformer's parts on %s", (name) => {
  beforeAll(async () => {
    await new PlainBackend(name).activate();
    registerGradients();
  });

  it("gelu is x Φ(x), quick_gelu x σ(1.702 x)", async () => {
    const xs = PHI.map(([x]) => x);
    const input = (): tf.Tensor2D => tf.tensor2d(xs, [xs.length, 1]);
    closeTo(await values(() => activate(input(), "gelu")), PHI.map(([x, phi]) => x * phi), 2e-7);
    closeTo(await values(() => activate(input(), "quick_gelu")), xs.map((x) => x / (1 + Math.exp(-1.702 * x))), 1e-6);
  });

  it("LayerNorm divides by the biased deviation with 1e-5 under the root", async () => {
    const parameters = (block: string): tf.Tensor => tf.tensor1d(block.endsWith("weight") ? [2, 1, 1, 3] : [0, 0, 1, 0]);
    // Mean 0 and variance 1e-5, so that the epsilon is half of what is under the root.
    const size = Math.sqrt(2e-5);
    const out = await values(() => layerNorm(tf.tensor2d([[size, 0, 0, -size]]), "ln", parameters));
    closeTo(out, [2, 0, 1, -3].map((value, i) => (i === 2 ? 1 : value)), 1e-4);
  });

  it("the causal mask hides later tokens entirely", async () => {
    const weights = await values(() => tf.softmax(tf.add(normal("scores", [3, 3]), causalMask(3)), -1));
    expect([weights[1], weights[2], weights[5]]).toEqual([0, 0, 0]);
    expect(weights[0]).toBe(1);
  });

  it.each(["NN", "TN", "NT"] as const)("matrixProduct has the values and gradients of matMul, twice, %s", async (layout) => {
    const exchanged = (shape: readonly number[]): number[] => [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];
    for (const [left, right] of [[[3, 4], [4, 2]], [[2, 3, 4], [2, 4, 5]], [[2, 2, 3, 4], [2, 2, 4, 5]]] as const) {
      const a = layout === "TN" ? exchanged(left) : [...left];
      const b = layout === "NT" ? exchanged(right) : [...right];
      const gradients = (product: (x: tf.Tensor, y: tf.Tensor) => tf.Tensor): tf.Tensor => {
        const loss = (x: tf.Tensor, y: tf.Tensor): tf.Tensor => tf.sum(tf.square(product(x, y)));
        const slope = (x: tf.Tensor): tf.Tensor => {
          const [first, second] = tf.grads(loss as (...args: tf.Tensor[]) => tf.Tensor)([x, normal("b", b)]) as [tf.Tensor, tf.Tensor];
          return tf.add(tf.sum(tf.square(first)), tf.sum(tf.mul(second, second)));
        };
        return tf.concat([tf.reshape(product(normal("a", a), normal("b", b)), [-1]), tf.reshape(tf.grad(slope)(normal("a", a)), [-1])]);
      };
      const own = await values(() => gradients((x, y) => matrixProduct(x, y, layout)));
      closeTo(own, await values(() => gradients((x, y) => tf.matMul(x, y, layout === "TN", layout === "NT"))), 1e-5);
    }
  });

  it("gatherRows has the gradients of a product with one-hot rows, twice, repeated indices included", async () => {
    const ids = [2, 0, 2, 2, 1];
    const gradients = (rows: (table: tf.Tensor) => tf.Tensor): tf.Tensor => {
      const slope = (table: tf.Tensor): tf.Tensor => tf.grad((x) => tf.sum(tf.mul(normal("w", [5, 3]), tf.square(rows(x)))))(table);
      return tf.grad((table) => tf.sum(tf.square(slope(table))))(normal("table", [4, 3]));
    };
    const gathered = await values(() => gradients((table) => gatherRows(table as tf.Tensor2D, tf.tensor1d(ids, "int32"))));
    const oneHot = await values(() => gradients((table) => matrixProduct(tf.cast(tf.oneHot(tf.tensor1d(ids, "int32"), 4), "float32"), table)));
    closeTo(gathered, oneHot, 1e-6);
    expect([...gathered.subarray(9)]).toEqual([0, 0, 0]);
  });
});
