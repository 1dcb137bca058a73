import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import type { KernelConfig, Tensor, Tensor1D, TensorInfo } from "@tensorflow/tfjs-core";
import { flatProgram, pairOf, THREADS } from "./flat-program.js";
import type { VectorLayout } from "./weighted-sum-kernel.js";

const NAME = "AtlasInnerProducts";

/** Words of the gradient that one thread keeps in registers while it goes through the vectors. */
const WORDS_PER_THREAD = 8;

/** Vectors whose sums are added up together; they fill half of the 16 KiB that every device has for a workgroup. */
const VECTORS_PER_TREE = 8;

const WORDS_PER_GROUP = THREADS * WORDS_PER_THREAD;

const groupsOf = (size: number): number => Math.ceil(Math.ceil(size / 2) / WORDS_PER_GROUP);

/** Partial sums `(count, groups)`: each workgroup reads its part of the gradient once, for all vectors, and adds up in a fixed order. */
function program({ packing, count, size }: VectorLayout): ReturnType<typeof flatProgram> {
  const groups = groupsOf(size);
  const together = Math.min(count, VECTORS_PER_TREE);
  const code = `
    ${pairOf(packing)}
    var<workgroup> sums : array<array<f32, ${THREADS}>, ${together}>;

    fn product(i : i32, firstWord : i32, slopes : ptr<function, array<vec2<f32>, ${WORDS_PER_THREAD}>>) -> f32 {
      var sum = 0.0;
      for (var step = 0; step < ${WORDS_PER_THREAD}; step = step + 1) {
        let word = firstWord + step * ${THREADS};
        if (word < uniforms.words) { sum = sum + dot((*slopes)[step], pair(i, word)); }
      }
      return sum;
    }

    fn main(index : i32) {
      let thread = index % ${THREADS};
      let group = index / ${THREADS};
      let firstWord = group * ${WORDS_PER_GROUP} + thread;
      var slopes : array<vec2<f32>, ${WORDS_PER_THREAD}>;
      for (var step = 0; step < ${WORDS_PER_THREAD}; step = step + 1) {
        let at = 2 * (firstWord + step * ${THREADS});
        if (at < uniforms.length) { slopes[step].x = gradient[at]; }
        if (at + 1 < uniforms.length) { slopes[step].y = gradient[at + 1]; }
      }
      for (var first = 0; first < ${count}; first = first + ${together}) {
        for (var i = 0; i < ${together}; i = i + 1) {
          if (first + i < ${count}) { sums[i][thread] = product(first + i, firstWord, &slopes); }
        }
        workgroupBarrier();
        for (var width = ${THREADS / 2}; width > 0; width = width / 2) {
          if (thread < width) {
            for (var i = 0; i < ${together}; i = i + 1) { sums[i][thread] = sums[i][thread] + sums[i][thread + width]; }
          }
          workgroupBarrier();
        }
        if (thread < ${together} && first + thread < ${count} && group < uniforms.groups) {
          result[(first + thread) * uniforms.groups + group] = sums[thread][0];
        }
        workgroupBarrier();
      }
    }
  `;
  const uniforms = "words : i32, length : i32, groups : i32,";
  return flatProgram(`atlas_inner_products_${packing}_${count}`, ["vectors", "gradient"], uniforms, count * groups, groups, code);
}

export const innerProductsKernel: KernelConfig = {
  kernelName: NAME,
  backendName: "webgpu",
  kernelFunc: ({ inputs, backend, attrs }) => {
    const { vectors, gradient } = inputs as { vectors: TensorInfo; gradient: TensorInfo };
    const layout = attrs as unknown as VectorLayout;
    const uniforms = [Math.ceil(layout.size / 2), layout.size, groupsOf(layout.size)].map((value) => ({ type: "int32", data: [value] }));
    return (backend as WebGPUBackend).runWebGPUProgram(program(layout), [vectors, gradient], "float32", uniforms);
  },
};

/** ⟨gradient, τᵢ⟩ `[count]` of packed vectors, in two stages. */
export function innerProducts(vectors: Tensor, layout: VectorLayout, gradient: Tensor1D): Tensor1D {
  const partial = tf.engine().runKernel(NAME, { vectors, gradient }, { ...layout }) as Tensor1D;
  const groups = groupsOf(layout.size);
  return groups === 1 ? partial : tf.sum(tf.reshape(partial, [layout.count, groups]), 1);
}
