import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import type { KernelConfig, NamedTensorMap, Tensor, Tensor1D, TensorInfo } from "@tensorflow/tfjs-core";
import { flatProgram, pairOf, THREADS, type Packing } from "./flat-program.js";

const NAME = "AtlasWeightedSum";

export interface VectorLayout {
  readonly packing: Packing;
  /** Vectors in the buffer. */
  readonly count: number;
  /** Elements of each. */
  readonly size: number;
}

interface Attributes extends VectorLayout {
  /** Where the weights of these vectors begin among all weights. */
  readonly offset: number;
}

/** Two elements a thread: onto + Σ wᵢ τᵢ, the vectors first as in the definition. */
function program({ packing, count, size }: VectorLayout, onto: boolean): ReturnType<typeof flatProgram> {
  const words = Math.ceil(size / 2);
  const code = `
    ${pairOf(packing)}
    fn main(index : i32) {
      if (index >= uniforms.words) { return; }
      var sum = vec2<f32>(0.0);
      for (var i = 0; i < ${count}; i = i + 1) { sum = sum + weights[uniforms.offset + i] * pair(i, index); }
      let at = 2 * index;
      result[at] = ${onto ? "onto[at] + " : ""}sum.x;
      if (at + 1 < uniforms.size) { result[at + 1] = ${onto ? "onto[at + 1] + " : ""}sum.y; }
    }
  `;
  const variables = ["vectors", "weights", ...(onto ? ["onto"] : [])];
  return flatProgram(`atlas_weighted_sum_${packing}_${count}_${onto}`, variables, "words : i32, offset : i32,", size, Math.ceil(words / THREADS), code);
}

export const weightedSumKernel: KernelConfig = {
  kernelName: NAME,
  backendName: "webgpu",
  kernelFunc: ({ inputs, backend, attrs }) => {
    const { vectors, weights, onto } = inputs as { vectors: TensorInfo; weights: TensorInfo; onto?: TensorInfo };
    const layout = attrs as unknown as Attributes;
    const uniforms = [{ type: "int32", data: [Math.ceil(layout.size / 2)] }, { type: "int32", data: [layout.offset] }];
    const given = [vectors, weights, ...(onto === undefined ? [] : [onto])];
    return (backend as WebGPUBackend).runWebGPUProgram(program(layout, onto !== undefined), given, "float32", uniforms);
  },
};

/**
 * onto + Σ wᵢ τᵢ `[size]` in one pass over packed vectors; without `onto`, the sum alone.
 * @param weights of all vectors of all blocks; those of these vectors begin at `offset`.
 */
export function weightedSum(vectors: Tensor, layout: VectorLayout, weights: Tensor1D, offset: number, onto: Tensor1D | null): Tensor1D {
  const inputs: NamedTensorMap = { vectors, weights, ...(onto === null ? {} : { onto }) };
  return tf.engine().runKernel(NAME, inputs, { ...layout, offset }) as Tensor1D;
}
