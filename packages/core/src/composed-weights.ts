import * as tf from "@tensorflow/tfjs-core";
import type { Composition, HostRules, IndexedBlock, NamedArrays } from "./composition.js";
import { sizeOf } from "./element-type.js";
import type { BlockSpec } from "./encoder-spec.js";
import { InputError } from "./errors.js";
import { widen, type HostTensor, type NamedHostTensors } from "./state-dict.js";
import { blockOf, type TaskVector } from "./task-vector.js";

/** @throws InputError unless the coefficients have the sizes that the composition has for these blocks and n. */
export function checkCoefficients(composition: Composition, blocks: readonly BlockSpec[], n: number, coefficients: NamedArrays): void {
  const shapes = composition.shapes(blocks, n);
  for (const [name, shape] of Object.entries(shapes)) {
    const values = coefficients[name];
    if (values?.length === sizeOf(shape)) continue;
    throw new InputError({
      where: `coefficient tensor "${name}" of composition "${composition.id}"`,
      got: values === undefined ? "nothing" : `${values.length} values`,
      expected: `[${shape.join(", ")}] for ${n} task vectors and ${blocks.length} blocks`,
    });
  }
}

/** θ0 + Σ wᵢ τᵢ, summed from the first vector to the last, then the base: the order of the definition. */
function weightedSum(base: Float32Array, vectors: readonly (HostTensor | undefined)[], weights: Float32Array): Float32Array {
  const sum = new Float32Array(base.length);
  vectors.forEach((vector, v) => {
    const weight = weights[v]!;
    if (vector === undefined || weight === 0) return;
    const values = widen(vector);
    for (let i = 0; i < sum.length; i++) sum[i]! += Math.fround(weight * values[i]!);
  });
  for (let i = 0; i < sum.length; i++) sum[i]! += base[i]!;
  return sum;
}

/** θ0 + Δ by a composition's own rules on host memory. */
function composeOnHost(at: IndexedBlock, base: Float32Array, vectors: readonly (HostTensor | undefined)[], rules: HostRules, coefficients: NamedArrays): Float32Array {
  const sum = new Float32Array(base.length);
  rules.difference(at, vectors, coefficients, sum);
  for (let i = 0; i < sum.length; i++) sum[i]! += base[i]!;
  return sum;
}

async function composeOnTensors(at: IndexedBlock, base: Float32Array, vectors: readonly (HostTensor | undefined)[], composition: Composition, coefficients: NamedArrays, shapes: Record<string, number[]>): Promise<Float32Array> {
  const composed = tf.tidy(() => composition.compose(
    at,
    tf.tensor(base, [...at.block.shape]),
    vectors.map((vector) => (vector === undefined ? tf.zeros([...at.block.shape]) : tf.tensor(widen(vector), [...at.block.shape]))),
    Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, tf.tensor(coefficients[name]!, shape)])),
  ));
  try {
    return Float32Array.from(await composed.data<"float32">());
  } finally {
    composed.dispose();
  }
}

/**
 * The composed parameters in host memory, for writing them out. Buffers of the base, such as BatchNorm's running
 * statistics, are passed through.
 */
export async function composeWeights(
  blocks: readonly BlockSpec[],
  base: NamedHostTensors,
  vectors: readonly TaskVector[],
  composition: Composition,
  coefficients: NamedArrays,
): Promise<NamedHostTensors> {
  const n = vectors.length;
  checkCoefficients(composition, blocks, n, coefficients);
  const shapes = composition.shapes(blocks, n);
  const composed = new Map<string, HostTensor>(base);
  for (const [index, block] of blocks.entries()) {
    const from = base.get(block.name);
    if (from === undefined) throw new InputError({ where: `block "${block.name}"`, got: "nothing in the base model", expected: `shape [${block.shape.join(", ")}]` });
    const at: IndexedBlock = { block, index, count: blocks.length };
    const own = vectors.map((vector) => blockOf(vector, block.name));
    const values = widen(from);
    const data = composition.kind === "scalar"
      ? weightedSum(values, own, composition.weights(at, n, coefficients))
      : composition.kind === "general" && composition.host !== undefined
        ? composeOnHost(at, values, own, composition.host, coefficients)
        : await composeOnTensors(at, values, own, composition, coefficients, shapes);
    composed.set(block.name, { dtype: "F32", shape: block.shape, data });
  }
  return composed;
}
