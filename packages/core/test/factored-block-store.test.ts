import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { HostBlockStore, multipliedOut, PlainBackend, Random, type BlockSpec, type BlockStore, type HostTensor, type NamedHostTensors, type TaskVector } from "../src/index.js";
import { blockStoreOf, FactoredBlockStore } from "../src/factored-block-store.js";
import { closeTo } from "./fixture-files.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

const ROWS = 48;
const COLUMNS = 80;
const shape = [ROWS, COLUMNS];
const block: BlockSpec = { name: "a", shape, kind: "mlp_output", role: "weight", layer: 0 };
const at = { block, index: 1, count: 3 };

function normals(seed: string, own: readonly [number, number]): HostTensor {
  const random = new Random(seed);
  return { dtype: "F32", shape: own, data: Float32Array.from({ length: own[0] * own[1] }, () => random.normal()) };
}

const base: NamedHostTensors = new Map([["a", normals("base", [ROWS, COLUMNS])]]);
const absent: TaskVector = { name: "absent", blocks: new Map() };
const whole: TaskVector = { name: "whole", blocks: new Map([["a", normals("whole", [ROWS, COLUMNS])]]) };
const low = (name: string, rank: number): TaskVector => ({
  name, blocks: new Map([["a", { dtype: "low-rank", shape, left: normals(`${name} left`, [ROWS, rank]), right: normals(`${name} right`, [rank, COLUMNS]) }]]),
});

const full = ({ name, blocks }: TaskVector): TaskVector => ({ name, blocks: new Map([...blocks].map(([own, tensor]) => [own, multipliedOut(tensor)])) });

async function values(tensor: tf.Tensor): Promise<Float32Array> {
  const data = Float32Array.from(await tensor.data());
  tensor.dispose();
  return data;
}

async function results(store: BlockStore, n: number): Promise<Float32Array[]> {
  const weights = tf.tensor2d(Float32Array.from({ length: 3 * n }, (_, i) => Math.cos(i)), [3, n]);
  const gradient = tf.tensor(normals("gradient", [ROWS, COLUMNS]).data, shape);
  const all = [store.base(at), ...store.vectors(at), store.weightedSum(at, weights, "base"), store.weightedSum(at, weights, "zero"), store.innerProducts(at, gradient)];
  tf.dispose([weights, gradient]);
  store.dispose();
  return Promise.all(all.map(values));
}

describe.each(PLAIN_BACKENDS)("task vectors of low rank on %s", (name) => {
  it.each([
    ["of several ranks", [low("one", 3), low("two", 5)]],
    ["beside a whole and an absent one", [whole, low("one", 3), absent, low("two", 1)]],
  ])("%s: compose and reduce as if they were multiplied out, and leave nothing behind", async (_which, vectors) => {
    await new PlainBackend(name).activate();
    const before = tf.memory().numTensors;
    const make = (...of: [NamedHostTensors, readonly TaskVector[]]): BlockStore => new HostBlockStore(...of);
    const own = await results(blockStoreOf(base, vectors, make), vectors.length);
    const wanted = await results(new HostBlockStore(base, vectors.map(full)), vectors.length);
    expect(own.length).toBe(wanted.length);
    own.forEach((array, i) => closeTo(array, wanted[i]!, 1e-5));
    expect(tf.memory().numTensors).toBe(before);
  });

  it("take the memory of their factors on the device", async () => {
    await new PlainBackend(name).activate();
    const vectors = [low("one", 3), low("two", 5)];
    const store = new FactoredBlockStore(base, vectors, (...of) => new HostBlockStore(...of));
    const before = tf.memory().numBytes;
    store.weightedSum(at, tf.zeros([3, 2]), "zero").dispose();
    const kept = tf.memory().numBytes - before - 4 * 3 * 2;
    expect(kept).toBe(4 * (3 + 5) * (ROWS + COLUMNS + vectors.length));
    store.dispose();
  });
});

it("task vectors without low-rank blocks are kept as the backend keeps them", () => {
  const host = new HostBlockStore(base, [whole, absent]);
  expect(blockStoreOf(base, [whole, absent], () => host)).toBe(host);
});
