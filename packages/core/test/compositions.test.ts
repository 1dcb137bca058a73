import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  blockwise, dense, InputError, isotropic, PlainBackend, Random, registerGradients,
  type BlockSpec, type HostTensor, type IndexedBlock, type ScalarComposition,
} from "../src/index.js";
import { closeTo } from "./fixture-files.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

const BLOCKS: BlockSpec[] = [
  { name: "a.weight", shape: [3, 4], kind: "projection", role: "weight", layer: null },
  { name: "a.bias", shape: [4], kind: "norm", role: "bias", layer: null },
  { name: "scale", shape: [], kind: "leftover", role: "weight", layer: null },
];
const N = 3;
const SCALAR: ScalarComposition[] = [isotropic(), blockwise()];

function normal(random: Random, shape: readonly number[]): tf.Tensor {
  return tf.tensor(Float32Array.from({ length: shape.reduce((size, extent) => size * extent, 1) }, () => random.normal()), [...shape]);
}

describe.each(PLAIN_BACKENDS)("compositions on %s", (backend) => {
  beforeAll(async () => {
    await new PlainBackend(backend).activate();
    registerGradients();
  });

  describe.each(SCALAR)("$id", (composition) => {
    const random = new Random(composition.id);
    const shape = composition.shapes(BLOCKS, N)["coef"]!;

    it("starts from zeros, which compose to the base", async () => {
      const start = composition.initial(BLOCKS, N, new Map())["coef"]!;
      expect(start).toEqual(new Float32Array(shape.reduce((size, extent) => size * extent, 1)));
      for (const [index, block] of BLOCKS.entries()) {
        const base = normal(random, block.shape);
        const at = { block, index, count: BLOCKS.length };
        const composed = tf.tidy(() => {
          const vectors = Array.from({ length: N }, () => normal(random, block.shape));
          return composition.compose(at, base, vectors, { coef: tf.tensor(start, shape) });
        });
        expect(await composed.data()).toEqual(await base.data());
        tf.dispose([base, composed]);
      }
    });

    it.each(BLOCKS.map((block, index): [string, IndexedBlock] => [block.name, { block, index, count: BLOCKS.length }]))(
      "reduce is the adjoint of compose for %s, and weights and accumulate say the same", async (_name, at) => {
        const before = tf.memory().numTensors;
        const coef = normal(random, shape);
        const base = normal(random, at.block.shape);
        const vectors = Array.from({ length: N }, () => normal(random, at.block.shape));
        const gradient = normal(random, at.block.shape);
        const paired = (value: tf.Tensor): tf.Tensor => tf.sum(tf.mul(gradient, composition.compose(at, base, vectors, { coef: value })));
        const wanted = tf.tidy(() => tf.grad(paired)(coef));
        const held = tf.memory().numTensors;
        const reduced = composition.reduce(at, gradient, vectors, { coef })["coef"]!;
        expect(tf.memory().numTensors).toBe(held + 1);
        expect(reduced.shape).toEqual(shape);
        closeTo(await reduced.data(), await wanted.data(), 1e-6, "reduce");

        const arrays = { coef: (await coef.data<"float32">()).slice() };
        const weights = composition.weights(at, N, arrays);
        const steps = await Promise.all(vectors.map((vector) => vector.data<"float32">()));
        const stepAt = (i: number): number => steps.reduce((total, step, v) => total + weights[v]! * step[i]!, 0);
        const sum = Float32Array.from(await base.data(), (value, i) => value + stepAt(i));
        const composed = composition.compose(at, base, vectors, { coef });
        closeTo(await composed.data(), sum, 1e-6, "compose");

        const sums = { coef: new Float32Array(arrays.coef.length).fill(1) };
        const host = await gradient.data();
        const products = steps.map((step) => step.reduce((total, value, i) => total + value * host[i]!, 0));
        composition.accumulate(at, N, Float32Array.from(products), sums);
        closeTo(sums.coef.map((value) => value - 1), await wanted.data(), 1e-5, "accumulate");
        tf.dispose([coef, base, ...vectors, gradient, wanted, reduced, composed]);
        expect(tf.memory().numTensors).toBe(before);
      },
    );

    it("composes the base from no task vectors", async () => {
      const before = tf.memory().numTensors;
      const [block] = BLOCKS as [BlockSpec];
      const at = { block, index: 0, count: BLOCKS.length };
      const base = normal(random, block.shape);
      const coef = tf.zeros(composition.shapes(BLOCKS, 0)["coef"]!);
      const composed = composition.compose(at, base, [], { coef });
      const reduced = composition.reduce(at, base, [], { coef })["coef"]!;
      expect(await composed.data()).toEqual(await base.data());
      expect(reduced.shape).toEqual(coef.shape);
      tf.dispose([base, coef, composed, reduced]);
      expect(tf.memory().numTensors).toBe(before);
    });
  });

  describe("dense", () => {
    const half: HostTensor = { dtype: "F16", shape: [4], data: Uint16Array.of(0x3c00, 0xc000, 0, 0x3800) };
    const at = { block: BLOCKS[1]!, index: 1, count: BLOCKS.length };

    it("starts from the widened base, in arrays of its own", () => {
      const float: HostTensor = { dtype: "F32", shape: [4], data: Float32Array.of(1, 2, 3, 4) };
      expect(dense().initial([at.block], 0, new Map([["a.bias", half]]))).toEqual({ "a.bias": Float32Array.of(1, -2, 0, 0.5) });
      dense().initial([at.block], 0, new Map([["a.bias", float]]))["a.bias"]!.fill(0);
      expect(float.data).toEqual(Float32Array.of(1, 2, 3, 4));
      expect(() => dense().initial(BLOCKS, 0, new Map([["a.bias", half]]))).toThrow(InputError);
    });

    it("composes the values of a block and hands its gradient through", async () => {
      const before = tf.memory().numTensors;
      const random = new Random("dense");
      const [base, values, gradient] = [normal(random, [4]), normal(random, [4]), normal(random, [4])] as const;
      const composed = dense().compose(at, base, [], { "a.bias": values });
      const reduced = dense().reduce(at, gradient, [], { "a.bias": values });
      expect(await composed.data()).toEqual(await values.data());
      expect(Object.keys(reduced)).toEqual(["a.bias"]);
      expect(await reduced["a.bias"]!.data()).toEqual(await gradient.data());
      expect(() => dense().compose(at, base, [], {})).toThrow(InputError);
      tf.dispose([base, values, gradient, composed, reduced["a.bias"]!]);
      expect(tf.memory().numTensors).toBe(before);
    });
  });
});
