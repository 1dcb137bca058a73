import { sameShape, sizeOf } from "./element-type.js";
import { InputError } from "./errors.js";
import { float32ToFloat16 } from "./half.js";
import { isBuffer, multipliedOut, widen, type HostTensor, type LowRankTensor, type NamedHostTensors } from "./state-dict.js";

/** One block of a task vector; low-rank differences stay low-rank, and are multiplied out one block at a time. */
export type TaskVectorBlock = HostTensor | LowRankTensor;

/** τ = θ − θ0 by block name (paper, section 2). A block that is absent counts as zero. */
export interface TaskVector {
  readonly name: string;
  readonly blocks: ReadonlyMap<string, TaskVectorBlock>;
}

/** A block with all its elements, a low-rank one multiplied out; undefined where the vector is zero. */
export function blockOf({ blocks }: TaskVector, name: string): HostTensor | undefined {
  const own = blocks.get(name);
  return own === undefined ? undefined : multipliedOut(own);
}

/** A task vector that has all its elements in memory. */
export interface FullTaskVector extends TaskVector {
  readonly blocks: NamedHostTensors;
}

/** How elements are kept: half floats take half the memory, and are what the reference stores. */
export type Storage = "F16" | "F32";

function stored(shape: readonly number[], values: Float32Array, storage: Storage): HostTensor {
  return storage === "F16" ? { dtype: "F16", shape, data: float32ToFloat16(values) } : { dtype: "F32", shape, data: values };
}

function requireSameShape(block: string, owner: string, got: readonly number[], expected: readonly number[]): void {
  if (sameShape(got, expected)) return;
  throw new InputError({ where: `block "${block}" of "${owner}"`, got: `shape [${got.join(", ")}]`, expected: `shape [${expected.join(", ")}]` });
}

/** Combines two vectors block by block in float32; a block that one of them lacks is zero there. */
function combine(
  name: string,
  a: TaskVector,
  b: TaskVector,
  storage: Storage,
  rule: (x: number, y: number) => number,
): FullTaskVector {
  const blocks = new Map<string, HostTensor>();
  for (const block of new Set([...a.blocks.keys(), ...b.blocks.keys()])) {
    const left = a.blocks.get(block);
    const right = b.blocks.get(block);
    const { shape } = (left ?? right)!;
    if (left !== undefined && right !== undefined) requireSameShape(block, b.name, right.shape, shape);
    const size = sizeOf(shape);
    const x = left === undefined ? new Float32Array(size) : widen(left);
    const y = right === undefined ? new Float32Array(size) : widen(right);
    const out = new Float32Array(size);
    for (let i = 0; i < size; i++) out[i] = rule(x[i]!, y[i]!);
    blocks.set(block, stored(shape, out, storage));
  }
  return { name, blocks };
}

function map(name: string, vector: TaskVector, storage: Storage, rule: (x: number) => number): FullTaskVector {
  const blocks = new Map<string, HostTensor>();
  for (const [block, tensor] of vector.blocks) {
    const values = widen(tensor);
    const out = new Float32Array(values.length);
    for (let i = 0; i < out.length; i++) out[i] = rule(values[i]!);
    blocks.set(block, stored(tensor.shape, out, storage));
  }
  return { name, blocks };
}

/**
 * τ = fine-tuned − base, computed in float32 and then stored as asked. Blocks are those of `base`, matched by name;
 * buffers are no parameters and have no part in it.
 */
export function difference(name: string, base: NamedHostTensors, finetuned: NamedHostTensors, storage: Storage = "F16"): FullTaskVector {
  const blocks = new Map<string, HostTensor>();
  for (const [block, from] of base) {
    if (isBuffer(block)) continue;
    const to = finetuned.get(block);
    if (to === undefined) {
      throw new InputError({ where: `fine-tuned model "${name}"`, got: `no block "${block}"`, expected: "every block of the base model" });
    }
    requireSameShape(block, name, to.shape, from.shape);
    const x = widen(to);
    const y = widen(from);
    const step = new Float32Array(x.length);
    for (let i = 0; i < step.length; i++) step[i] = x[i]! - y[i]!;
    blocks.set(block, stored(from.shape, step, storage));
  }
  return { name, blocks };
}

/** −τ */
export function negate(vector: TaskVector, storage: Storage = "F16"): FullTaskVector {
  return map(`-${vector.name}`, vector, storage, (x) => -x);
}

/** τa + τb */
export function add(a: TaskVector, b: TaskVector, storage: Storage = "F16"): FullTaskVector {
  return combine(`${a.name} + ${b.name}`, a, b, storage, (x, y) => x + y);
}

/** τa − τb */
export function subtract(a: TaskVector, b: TaskVector, storage: Storage = "F16"): FullTaskVector {
  return combine(`${a.name} - ${b.name}`, a, b, storage, (x, y) => x - y);
}

/** α τ */
export function scale(vector: TaskVector, factor: number, storage: Storage = "F16"): FullTaskVector {
  const alpha = Math.fround(factor);
  return map(`${factor} ${vector.name}`, vector, storage, (x) => alpha * x);
}

/** τᵖ element by element */
export function power(vector: TaskVector, exponent: number, storage: Storage = "F16"): FullTaskVector {
  return map(`(${vector.name})^${exponent}`, vector, storage, (x) => x ** exponent);
}

/** θ0 + α τ in float32, for every block of `base`. */
export function applyVector(base: NamedHostTensors, vector: TaskVector, factor = 1): NamedHostTensors {
  const alpha = Math.fround(factor);
  const blocks = new Map<string, HostTensor>();
  for (const [block, tensor] of base) {
    const values = Float32Array.from(widen(tensor));
    const step = vector.blocks.get(block);
    if (step !== undefined) {
      requireSameShape(block, vector.name, step.shape, tensor.shape);
      const tau = widen(step);
      for (let i = 0; i < values.length; i++) values[i]! += Math.fround(alpha * tau[i]!);
    }
    blocks.set(block, { dtype: "F32", shape: tensor.shape, data: values });
  }
  return blocks;
}

/** ⟨a, b⟩ of one block, accumulated in float64: products of fine-tuning steps underflow in half precision. */
export function blockDot(a: TaskVectorBlock, b: TaskVectorBlock): number {
  const x = widen(a);
  const y = widen(b);
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

/** ⟨τa, τb⟩ over all blocks. */
export function dot(a: TaskVector, b: TaskVector): number {
  let sum = 0;
  for (const [block, tensor] of a.blocks) {
    const other = b.blocks.get(block);
    if (other === undefined) continue;
    requireSameShape(block, b.name, other.shape, tensor.shape);
    sum += blockDot(tensor, other);
  }
  return sum;
}

/** ‖τ‖ */
export function norm(vector: TaskVector): number {
  return Math.sqrt(dot(vector, vector));
}

/** ⟨τa, τb⟩ of all pairs a ≤ b, n × n; each block of a vector is widened once, and multiplied out where it is of low rank. */
function dotMatrix(vectors: readonly TaskVector[]): Float64Array {
  const n = vectors.length;
  const dots = new Float64Array(n * n);
  for (const block of new Set(vectors.flatMap(({ blocks }) => [...blocks.keys()]))) {
    const own = vectors.flatMap(({ name, blocks }, index) => {
      const tensor = blocks.get(block);
      return tensor === undefined ? [] : [{ index, name, tensor }];
    });
    const [first] = own;
    for (const { name, tensor } of own) requireSameShape(block, name, tensor.shape, first!.tensor.shape);
    const wide = own.map(({ tensor }): HostTensor => ({ dtype: "F32", shape: tensor.shape, data: widen(tensor) }));
    own.forEach((a, i) => {
      for (let j = i; j < own.length; j++) dots[a.index * n + own[j]!.index]! += blockDot(wide[i]!, wide[j]!);
    });
  }
  return dots;
}

/** Cosines between all pairs, n × n; NaN against a vector of zeros. */
export function cosineMatrix(vectors: readonly TaskVector[]): number[][] {
  const n = vectors.length;
  const dots = dotMatrix(vectors);
  const norms = vectors.map((_, i) => Math.sqrt(dots[i * n + i]!));
  const cosines = vectors.map(() => new Array<number>(n).fill(NaN));
  vectors.forEach((_, i) => {
    for (let j = i; j < n; j++) {
      const cosine = i === j && norms[i]! > 0 ? 1 : dots[i * n + j]! / (norms[i]! * norms[j]!);
      cosines[i]![j] = cosine;
      cosines[j]![i] = cosine;
    }
  });
  return cosines;
}
