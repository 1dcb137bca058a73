import { sameShape } from "./element-type.js";
import type { EncoderSpec } from "./encoder-spec.js";
import { InputError } from "./errors.js";
import type { HostTensor, NamedHostTensors } from "./state-dict.js";

/** An error message names so many differences: enough to see the pattern. */
const NAMED_DIFFERENCES = 3;

/** State-dict entries that are not parameters. */
const BUFFER = /\.(running_mean|running_var|num_batches_tracked|attn_mask)$/;

const shapeText = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** Index of the first value that is infinite or not a number, or −1. */
function firstNonFinite(tensor: HostTensor): number {
  const { dtype, data } = tensor;
  // A half float whose exponent bits are all set is infinite or not a number.
  if (dtype === "F16") return data.findIndex((bits) => (bits & 0x7c00) === 0x7c00);
  return data.findIndex((value) => !Number.isFinite(value));
}

/** Names that belong to this encoder's network and that its spec does not have: a deeper model, or another family. */
function unexpected(spec: EncoderSpec, tensors: NamedHostTensors): string[] {
  const buffers = spec.family === "resnet" ? spec.buffers : [];
  const known = new Set([...spec.blocks, ...buffers].map(({ name }) => name));
  const own = spec.family === "text" ? `${spec.prefix}transformer.` : spec.prefix;
  return [...tensors.keys()].filter((name) => name.startsWith(own) && !known.has(name) && !BUFFER.test(name));
}

/**
 * Checks that tensors fit a model: every block there, shaped as specified, finite, and no further block of the same
 * network. Buffers and the names of other networks in the same file are ignored.
 * @param where what is being checked, for the message: "base model", "task vector X".
 * @param options.partial blocks may be missing (task vectors: a missing block is zero).
 * @throws InputError naming the first three differences.
 */
export function checkBlocks(
  spec: EncoderSpec,
  tensors: NamedHostTensors,
  where: string,
  options: { partial?: boolean } = {},
): void {
  const differences: string[] = [];
  for (const { name, shape } of [...spec.blocks, ...(spec.family === "resnet" && !options.partial ? spec.buffers : [])]) {
    const tensor = tensors.get(name);
    if (tensor === undefined) {
      if (!options.partial) differences.push(`"${name}" is missing`);
    } else if (!sameShape(tensor.shape, shape)) {
      differences.push(`"${name}" is ${shapeText(tensor.shape)} instead of ${shapeText(shape)}`);
    }
  }
  differences.push(...unexpected(spec, tensors).map((name) => `"${name}" is unexpected`));
  if (differences.length > 0) {
    const rest = differences.length - NAMED_DIFFERENCES;
    throw new InputError({
      where: `blocks of ${where}`,
      got: differences.slice(0, NAMED_DIFFERENCES).join("; ") + (rest > 0 ? `; and ${rest} more differences` : ""),
      expected: `the ${spec.blocks.length} blocks of the model's ${spec.family} encoder`,
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
      next: "the file is damaged or its training diverged: take another checkpoint",
    });
  }
}
