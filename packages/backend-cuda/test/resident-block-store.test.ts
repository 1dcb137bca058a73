import {
  blockwise, float16ToFloat32, HostBlockStore, ResidentBase,
  type BlockSpec, type BlockStore, type NamedHostTensors, type TaskVector,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { SMALL_SPECS, smallModel } from "../../backend-cpu/test/small-models.js";
import { closeTo } from "../../core/test/fixture-files.js";
import { CudaBackend } from "../src/index.js";
import { ResidentBlockStore } from "../src/resident-block-store.js";
import { tensorFlowBackend } from "../src/tensorflow-addon.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

/** As many numbers as a matrix of ViT-B has, so that sums are as long. */
const shape = [768, 3072];
const size = 768 * 3072;
const block: BlockSpec = { name: "a", shape, kind: "mlp_output", role: "weight", layer: 0 };
const at = { block, index: 1, count: 3 };

const wave = (frequency: number): Float32Array => Float32Array.from({ length: size }, (_, i) => Math.sin(frequency * i));
const base: NamedHostTensors = new Map([["a", { dtype: "F32", shape, data: wave(0.7) }]]);

/** Every half float there is but those that are no finite numbers, over and over. */
function halves(shift: number): Uint16Array {
  return Uint16Array.from({ length: size }, (_, i) => {
    const bits = (i * 31 + shift) & 0xffff;
    return (bits & 0x7c00) === 0x7c00 ? bits & 0x83ff : bits;
  });
}

const half = (name: string, shift: number): TaskVector => ({ name, blocks: new Map([["a", { dtype: "F16", shape, data: halves(shift) }]]) });
const float: TaskVector = { name: "float", blocks: new Map([["a", { dtype: "F32", shape, data: wave(1.3) }]]) };
const absent: TaskVector = { name: "absent", blocks: new Map() };

async function values(tensor: tf.Tensor): Promise<Float32Array> {
  const data = Float32Array.from(await tensor.data());
  tensor.dispose();
  return data;
}

withTensorFlow(() => describe("task vectors on TensorFlow's device", () => {
  it("widen to the same bits, the smallest halves included", async () => {
    await onCpu.activate();
    const store = new ResidentBlockStore(new ResidentBase(base), [half("one", 0), absent, half("two", 7)]);
    const [one, none, two] = store.vectors(at) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const same = (got: Float32Array, wanted: Float32Array): boolean => Buffer.from(got.buffer).equals(Buffer.from(wanted.buffer));
    expect(same(await values(one), float16ToFloat32(halves(0)))).toBe(true);
    expect(same(await values(two), float16ToFloat32(halves(7)))).toBe(true);
    expect((await values(none)).every((value) => value === 0)).toBe(true);
    store.dispose();
  });

  it.each([
    ["of half floats", [half("one", 0), absent, half("two", 7)]],
    ["one of them in float32", [half("one", 0), float]],
    ["none of which has the block", [absent]],
    ["of which there is none", []],
  ])("%s compose and reduce as on the host, and leave nothing behind", async (_which, vectors) => {
    await onCpu.activate();
    const counts = (): number[] => [tf.memory().numTensors, tensorFlowBackend().binding.getNumOfTensors()];
    const before = counts();
    const weights = tf.tensor2d(Float32Array.from({ length: 3 * vectors.length }, (_, i) => Math.cos(i)), [3, vectors.length]);
    const gradient = tf.tensor(float16ToFloat32(halves(0)), shape);
    const results = async (store: BlockStore): Promise<Float32Array[]> => {
      const sums = [await values(store.weightedSum(at, weights, "base")), await values(store.weightedSum(at, weights, "zero"))];
      const products = await values(store.innerProducts(at, gradient));
      store.dispose();
      return [...sums, products];
    };
    const own = await results(new ResidentBlockStore(new ResidentBase(base), vectors));
    const wanted = await results(new HostBlockStore(base, vectors));
    own.forEach((array, i) => {
      expect(array.length).toBe(wanted[i]!.length);
      if (array.some((value, k) => value !== wanted[i]![k])) closeTo(array, wanted[i]!, 1e-5);
    });
    tf.dispose([weights, gradient]);
    expect(counts()).toEqual(before);
  });

  it("stay on the host where that was asked for", async () => {
    const small = smallModel(SMALL_SPECS["vit with gelu"]!, 2);
    const counts: number[] = [];
    for (const backend of [onCpu, new CudaBackend({ ...onCpu.options, vectors: "host" })]) {
      const encoder = await backend.compile(small.spec, small.base, small.vectors, blockwise());
      const composed = await encoder.compose(encoder.initialCoefficients());
      composed.dispose();
      counts.push(tensorFlowBackend().binding.getNumOfTensors());
      encoder.dispose();
    }
    expect(counts[0]).toBeGreaterThan(counts[1]!);
  });
}));
