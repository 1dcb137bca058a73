import { sameShape } from "./element-type.js";
import { buffersOf, type EncoderSpec } from "./encoder-spec.js";
import { InputError } from "./errors.js";
import { isBuffer, widen, type LowRankTensor } from "./state-dict.js";
import type { TaskVectorBlock } from "./task-vector.js";

/** An error message names so many differences: enough to see the pattern. */
const NAMED_DIFFERENCES = 3;

const DAMAGED = "the file is damaged or its training diverged: take another checkpoint";

const shapeText = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** Index of the first value that is infinite or not a number, or −1. */
function firstNonFinite(tensor: TaskVectorBlock): number {
  if (tensor.dtype === "low-rank") return Math.max(firstNonFinite(tensor.left), firstNonFinite(tensor.right));
  const { dtype, data } = tensor;
  // A half float whose exponent bits are all set is infinite or not a number.
  if (dtype === "F16") return data.findIndex((bits) => (bits & 0x7c00) === 0x7c00);
  return data.findIndex((value) => !Number.isFinite(value));
}

/** Whether the factors of a low-rank block give a matrix of its shape. */
function isProduct({ shape, left, right }: LowRankTensor): boolean {
  const [rows = -1, columns = -1] = shape;
  const rank = right.shape[0] ?? -1;
  return shape.length === 2 && sameShape(left.shape, [rows, rank]) && sameShape(right.shape, [rank, columns]);
}

/** Names that belong to this encoder's network and that its spec does not have: a deeper model, or another family. */
function unexpected(spec: EncoderSpec, tensors: ReadonlyMap<string, TaskVectorBlock>): string[] {
  const known = new Set([...spec.blocks, ...buffersOf(spec)].map(({ name }) => name));
  const own = spec.family === "text" ? `${spec.prefix}transformer.` : spec.prefix;
  return [...tensors.keys()].filter((name) => name.startsWith(own) && !known.has(name) && !isBuffer(name));
}

/** Index of the first value of a buffer that cannot be: not finite, or a variance below zero; −1. */
function firstImpossible(name: string, tensor: TaskVectorBlock): number {
  const bad = firstNonFinite(tensor);
  return bad < 0 && name.endsWith(".running_var") ? widen(tensor).findIndex((value) => value < 0) : bad;
}

/**
 * Checks that tensors fit a model: every block and every buffer of the model there, shaped as specified, finite, and no
 * further block of the same network. Other buffers and the names of other networks in the same file are ignored.
 * @param where what is being checked, for the message: "base model", "task vector X".
 * @param options.partial blocks may be missing, and buffers play no part (task vectors: a missing block is zero).
 * @throws InputError naming the first three differences.
 */
export function checkBlocks(
  spec: EncoderSpec,
  tensors: ReadonlyMap<string, TaskVectorBlock>,
  where: string,
  options: { partial?: boolean } = {},
): void {
  const differences: string[] = [];
  const buffers = options.partial ? [] : buffersOf(spec);
  for (const { name, shape } of [...spec.blocks, ...buffers]) {
    const tensor = tensors.get(name);
    if (tensor === undefined) {
      if (!options.partial) differences.push(`"${name}" is missing`);
    } else if (!sameShape(tensor.shape, shape)) {
      differences.push(`"${name}" is ${shapeText(tensor.shape)} instead of ${shapeText(shape)}`);
    } else if (tensor.dtype === "low-rank" && !isProduct(tensor)) {
      const factors = [tensor.left, tensor.right].map((factor) => shapeText(factor.shape)).join(" · ");
      differences.push(`"${name}" is ${factors} instead of ${shapeText(shape)}`);
    }
  }
  differences.push(...unexpected(spec, tensors).map((name) => `"${name}" is unexpected`));
  if (differences.length > 0) {
    const parts = `${spec.blocks.length} blocks${buffers.length > 0 ? ` and ${buffers.length} buffers` : ""}`;
    const rest = differences.length - NAMED_DIFFERENCES;
    throw new InputError({
      where: `blocks of ${where}`,
      got: differences.slice(0, NAMED_DIFFERENCES).join("; ") + (rest > 0 ? `; and ${rest} more differences` : ""),
      expected: `the ${parts} of the model's ${spec.family} encoder`,
      next: "give the configuration that this checkpoint was made with, or a checkpoint of this model",
    });
  }
  for (const { name } of spec.blocks) {
    const tensor = tensors.get(name);
    const bad = tensor === undefined ? -1 : firstNonFinite(tensor);
    if (bad < 0) continue;
    const value = tensor!.dtype === "F32" ? String(tensor!.data[bad]) : "a value that is infinite or not a number";
    throw new InputError({
      where: `block "${name}" of ${where}`,
      got: `${value} at element ${bad}`,
      expected: "finite weights",
      next: DAMAGED,
    });
  }
  for (const { name } of buffers) {
    const tensor = tensors.get(name)!;
    const bad = firstImpossible(name, tensor);
    if (bad < 0) continue;
    throw new InputError({
      where: `buffer "${name}" of ${where}`,
      got: `${widen(tensor)[bad]} at element ${bad}`,
      expected: name.endsWith(".running_var") ? "variances: finite, not negative" : "finite values",
      next: DAMAGED,
    });
  }
}
