import type { WebGPUProgram } from "@tensorflow/tfjs-backend-webgpu";

/** Threads of a workgroup; every WebGPU device has at least these. */
export const THREADS = 256;

/**
 * WGSL: the two elements at word `index` of vector `i`. `unpack2x16float` may flush subnormal halves, below 6.1e-5, to
 * zero, and steps of fine-tuning are often that small: those are widened from their bits.
 */
const PAIR_OF_HALVES = `
  fn subnormal(half : u32) -> f32 {
    let magnitude = f32(half & 0x3ffu) * 5.9604644775390625e-8;
    return select(magnitude, -magnitude, (half & 0x8000u) != 0u);
  }
  fn pair(i : i32, index : i32) -> vec2<f32> {
    let word = bitcast<u32>(vectors[i * uniforms.words + index]);
    let halves = vec2<u32>(word & 0xffffu, word >> 16u);
    let small = vec2<f32>(subnormal(halves.x), subnormal(halves.y));
    return select(unpack2x16float(word), small, (halves & vec2<u32>(0x7c00u)) == vec2<u32>(0u));
  }
`;

/** The same of vectors in float32, each padded to an even length. */
const PAIR_OF_FLOATS = `
  fn pair(i : i32, index : i32) -> vec2<f32> {
    let at = 2 * (i * uniforms.words + index);
    return vec2<f32>(vectors[at], vectors[at + 1]);
  }
`;

/** How vectors lie on the device: halves two a 32-bit word, or float32. */
export type Packing = "F16" | "F32";

export const pairOf = (packing: Packing): string => (packing === "F16" ? PAIR_OF_HALVES : PAIR_OF_FLOATS);

/** A compute program on flat arrays, in the form that tfjs compiles and caches. */
export function flatProgram(
  key: string,
  variableNames: string[],
  uniforms: string,
  outputSize: number,
  workgroups: number,
  code: string,
): WebGPUProgram {
  return {
    variableNames,
    variableComponents: variableNames.map(() => 1),
    uniforms,
    size: true,
    outputShape: [outputSize],
    workgroupSize: [THREADS, 1, 1],
    dispatchLayout: { x: [0] },
    dispatch: [workgroups, 1, 1],
    shaderKey: key,
    getUserCode: () => code,
  };
}
