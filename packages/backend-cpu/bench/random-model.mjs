import { float32ToFloat16, Random, sizeOf } from "@atlas-tv/core";

/** Numbers drawn once and repeated: normal numbers are slow to draw by the hundred million, and arithmetic does not care. */
const DRAWN = 65521;

function repeated(values, size, shift) {
  const all = new values.constructor(size);
  for (let at = -shift; at < size; at += values.length) {
    const from = Math.max(0, -at);
    all.set(values.subarray(from, Math.min(values.length, size - at)), Math.max(0, at));
  }
  return all;
}

/** θ0 in float32 and n task vectors in half floats, made on the spot. */
export function randomModel(spec, n) {
  const random = new Random(1);
  const drawn = Float32Array.from({ length: DRAWN }, () => random.normal());
  const weights = drawn.map((value) => 0.02 * value);
  const steps = float32ToFloat16(drawn.map((value) => 0.001 * value));
  const base = new Map(spec.blocks.map(({ name, shape, kind, role }, index) => {
    const data = kind === "norm" && role === "weight" ? new Float32Array(sizeOf(shape)).fill(1) : repeated(weights, sizeOf(shape), index);
    return [name, { dtype: "F32", shape, data }];
  }));
  for (const { name, shape } of spec.buffers ?? []) {
    base.set(name, { dtype: "F32", shape, data: new Float32Array(sizeOf(shape)).fill(name.endsWith("running_var") ? 1 : 0) });
  }
  const vectors = Array.from({ length: n }, (_, v) => ({
    name: `vector ${v}`,
    blocks: new Map(spec.blocks.map(({ name, shape }, index) => [name, { dtype: "F16", shape, data: repeated(steps, sizeOf(shape), 97 * v + index) }])),
  }));
  return { base, vectors };
}
