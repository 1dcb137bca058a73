import { buffersOf, InputError, sameShape, type BlockKind, type EncoderSpec, type HostTensor, type StateDict, type StoredTensor } from "@atlas-tv/core";
import { canonicalTensors } from "./canonical-tensors.js";
import { linearisedParameters, namedParameters, type LinearisedPart } from "./linearised-tensors.js";
import { describeTensors } from "./tensors-description.js";

/** An error message names so many differences: enough to see the pattern. */
const NAMED_DIFFERENCES = 3;

/** State-dict entries that are no parameters, in any network. */
const BUFFER =
  /(^|\.)(running_mean|running_var|num_batches_tracked|attn_mask|position_ids|input_resolution|context_length|vocab_size)$/;

/** Of CLIP as a whole: learned in pre-training, part of neither tower. */
const OF_BOTH = /^(logit_scale|logit_bias)$/;

/** The text tower in open_clip's naming, as it lies beside an image encoder. */
const TEXT_TOWER = /^(positional_embedding|text_projection|token_embedding\.weight|ln_final\.(weight|bias)|transformer\..+|text\..+)$/;

const IMAGE_TOWER = /^visual\./;

const shapeText = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

interface Part {
  readonly name: string;
  readonly shape: readonly number[];
  readonly kind?: BlockKind;
}

/** What a model needs from a file: its blocks in order, then its buffers. */
export interface MatchedBlocks {
  readonly blocks: ReadonlyMap<string, StoredTensor>;
  readonly buffers: ReadonlyMap<string, StoredTensor>;
}

function isOfAnotherTower(spec: EncoderSpec, name: string): boolean {
  return BUFFER.test(name) || OF_BOTH.test(name) || (spec.family === "text" ? IMAGE_TOWER : TEXT_TOWER).test(name);
}

export interface MatchOptions {
  /** Blocks may be missing (task vectors, where a missing block is zero); buffers are not looked for. Default false. */
  readonly partial?: boolean;
  /** The text side's leftover blocks may be missing: of a fine-tuned image encoder, which left them as they were. Default false. */
  readonly imageAlone?: boolean;
  /** Of a linearised model: its trained parameters, or those it was linearised at. Default `params`. */
  readonly part?: LinearisedPart;
}

/** The tensors of a file under the names of blocks. */
function named(spec: EncoderSpec, dict: StateDict, where: string, part: LinearisedPart): StateDict {
  const tensors = canonicalTensors(dict, where);
  const list = linearisedParameters(tensors, part);
  if (list === null) return tensors;
  const found = namedParameters(list, spec.blocks);
  if (found !== null) return found;
  throw new InputError({
    where: `${where}: parameters`,
    got: `a linearised model of ${list.length} parameters, shaped ${list.slice(0, 4).map(({ shape }) => shapeText(shape)).join(", ")} …`,
    expected: `the ${spec.blocks.length} blocks of the model's ${spec.family} encoder in their order`,
    next: "give the configuration that this checkpoint was made with, or a checkpoint of this model",
  });
}

/** "2 missing, 1 unexpected": how many differences of each kind. */
function counts(differences: readonly { readonly kind: string }[]): string {
  const totals = new Map<string, number>();
  for (const { kind } of differences) totals.set(kind, (totals.get(kind) ?? 0) + 1);
  return [...totals].map(([kind, total]) => `${total} ${kind}`).join(", ");
}

/**
 * Finds a model's blocks and buffers among the tensors of a file, by name and shape, before any of them is read. The
 * naming may be open_clip's, OpenAI's or Hugging Face's, with or without prefixes of wrapping modules; a linearised model's
 * parameters are named by their order. Buffers and the parameters of CLIP's other tower are passed over.
 * @param where name of the file, for messages.
 * @throws InputError that counts the differences and names the first three, or says what the file is if it is no model.
 */
export function matchBlocks(spec: EncoderSpec, dict: StateDict, where: string, options: MatchOptions = {}): MatchedBlocks {
  const { partial = false, imageAlone = false, part = "params" } = options;
  const tensors = named(spec, dict, where, part);
  const buffers: readonly Part[] = buffersOf(spec);
  const differences: { kind: string; text: string }[] = [];

  const find = (parts: readonly Part[], optional: boolean): Map<string, StoredTensor> => {
    const found = new Map<string, StoredTensor>();
    for (const { name, shape, kind } of parts) {
      const tensor = tensors.get(name);
      if (tensor === undefined) {
        if (!optional && !(imageAlone && kind === "leftover")) differences.push({ kind: "missing", text: `"${name}" is missing` });
      } else if (!sameShape(tensor.shape, shape)) {
        differences.push({ kind: "wrongly shaped", text: `"${name}" is ${shapeText(tensor.shape)} instead of ${shapeText(shape)}` });
      } else {
        found.set(name, tensor);
      }
    }
    return found;
  };
  const matched = { blocks: find(spec.blocks, partial), buffers: partial ? new Map<string, StoredTensor>() : find(buffers, false) };

  if (matched.blocks.size === 0 && !spec.blocks.some(({ name }) => tensors.has(name))) {
    throw new InputError({
      where: `${where}: parameter blocks`,
      got: `${describeTensors(tensors)}, none of the model's blocks`,
      expected: `the ${spec.blocks.length} blocks of the model's ${spec.family} encoder`,
      next: "give a checkpoint of this model",
    });
  }
  const known = new Set([...spec.blocks, ...buffers].map(({ name }) => name));
  for (const name of tensors.keys()) {
    if (!known.has(name) && !isOfAnotherTower(spec, name)) differences.push({ kind: "unexpected", text: `"${name}" is unexpected` });
  }
  if (differences.length > 0) {
    const named = differences.slice(0, NAMED_DIFFERENCES).map(({ text }) => text).join("; ");
    throw new InputError({
      where: `${where}: parameter blocks`,
      got: `${counts(differences)}: ${named}${differences.length > NAMED_DIFFERENCES ? "; …" : ""}`,
      expected: `the ${spec.blocks.length} blocks of the model's ${spec.family} encoder`,
      next: "give the configuration that this checkpoint was made with, or a checkpoint of this model",
    });
  }
  return matched;
}

/** The exponent's bits, all set in infinities and NaN only. */
const EXPONENT = { F16: 0x7c00, F32: 0x7f800000 } as const;

/**
 * @param where name of the block and its file, for messages.
 * @throws InputError when values are infinite or not numbers: how many there are, and where the first is.
 */
export function requireFinite({ dtype, data }: HostTensor, where: string, next: string): void {
  const bits = dtype === "F16" ? data : new Uint32Array(data.buffer, data.byteOffset, data.length);
  const mask = EXPONENT[dtype];
  let count = 0;
  let first = -1;
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & mask) === mask && count++ === 0) first = i;
  }
  if (count === 0) return;
  throw new InputError({
    where,
    got: `${count} of ${data.length} values NaN or infinite, the first at index ${first}`,
    expected: "finite values",
    next,
  });
}
