import {
  difference, readHostTensor,
  type EncoderSpec, type FullTaskVector, type HostTensor, type NamedHostTensors, type StateDict, type Storage, type StoredTensor, type TaskVector, type TaskVectorBlock,
} from "@atlas-tv/core";
import { FORMAT_VERSION } from "./artefact.js";
import { matchBlocks, requireFinite } from "./block-matching.js";
import { canonicalTensors } from "./canonical-tensors.js";
import { FORMATS } from "./file-kind.js";
import { linearisedParameters } from "./linearised-tensors.js";
import { lowRankBlock, separateFactors, withFactors } from "./low-rank-blocks.js";
import type { WritableTensors } from "./safetensors-writer.js";

/** Which blocks of a task vector to read; default all. */
export type WantedBlocks = ReadonlySet<string>;

const DAMAGED = "the file is damaged or its training diverged: take another checkpoint";

async function readFinite(tensor: StoredTensor, name: string, where: string): Promise<HostTensor> {
  const host = await readHostTensor(tensor, `${name} of ${where}`);
  requireFinite(host, `block "${name}" of ${where}`, DAMAGED);
  return host;
}

/**
 * θ0: the blocks of `spec` in its order, then its buffers, from a file in any naming that `matchBlocks` knows. F16 stays
 * F16, every other floating type becomes F32.
 * @param where name of the file, for messages.
 * @throws InputError when blocks are missing, unexpected or wrongly shaped, or hold NaN or infinity.
 */
export async function loadBase(spec: EncoderSpec, dict: StateDict, where: string): Promise<NamedHostTensors> {
  const { blocks, buffers } = matchBlocks(spec, dict, where);
  const loaded = new Map<string, HostTensor>();
  for (const [name, tensor] of [...blocks, ...buffers]) loaded.set(name, await readFinite(tensor, name, where));
  return loaded;
}

/**
 * A task vector from a file that holds one: a difference, block by block, whole or as two factors of low rank. A block
 * that the file lacks is zero.
 * @param name of the task vector, which messages and plots show; default the name of the file.
 * @throws InputError as `loadBase`.
 */
export async function loadTaskVector(spec: EncoderSpec, dict: StateDict, where: string, name = where, only?: WantedBlocks): Promise<TaskVector> {
  const isWanted = (block: string): boolean => only?.has(block) ?? true;
  const { full, factors } = separateFactors(dict, where);
  // A file of factors alone has no block to match.
  const blocks = full.size === 0 && factors.size > 0 ? full : matchBlocks(spec, full, where, { partial: true }).blocks;
  const loaded = new Map<string, TaskVectorBlock>();
  for (const [block, tensor] of blocks) if (isWanted(block)) loaded.set(block, await readFinite(tensor, block, where));
  for (const [block, { left, right }] of factors) {
    if (!isWanted(block)) continue;
    const own = [await readFinite(left, `${block}.lora_left`, where), await readFinite(right, `${block}.lora_right`, where)] as const;
    loaded.set(block, lowRankBlock(spec, block, ...own, where));
  }
  return { name, blocks: loaded };
}

/**
 * τ = fine-tuned − base, in float32 and then stored as asked, one block at a time: at no moment are two models held. Of a
 * linearised model's file, which holds both, τ = params − params0. The text side's leftover blocks are zero where the
 * fine-tuned file holds the image encoder alone.
 * @throws InputError as `loadBase`, and when a difference does not fit into a half float.
 */
export async function taskVectorFromCheckpoints(
  name: string,
  spec: EncoderSpec,
  base: StateDict,
  finetuned: StateDict,
  storage: Storage = "F16",
  only?: WantedBlocks,
): Promise<FullTaskVector> {
  const whereBase = `base model of "${name}"`;
  const whereFinetuned = `fine-tuned model "${name}"`;
  // A linearised model's file holds the parameters that it was linearised at beside the trained ones, and no buffers.
  const partial = linearisedParameters(canonicalTensors(finetuned, whereFinetuned), "params0") !== null;
  const from = (partial ? matchBlocks(spec, finetuned, whereFinetuned, { partial, part: "params0" }) : matchBlocks(spec, base, whereBase)).blocks;
  const to = matchBlocks(spec, finetuned, whereFinetuned, { partial, imageAlone: true }).blocks;
  const blocks = new Map<string, HostTensor>();
  for (const { name: block } of spec.blocks.filter(({ name: own }) => to.has(own) && (only?.has(own) ?? true))) {
    const before = new Map([[block, await readFinite(from.get(block)!, block, whereBase)]]);
    const after = new Map([[block, await readFinite(to.get(block)!, block, whereFinetuned)]]);
    const step = difference(name, before, after, storage).blocks.get(block)!;
    requireFinite(step, `block "${block}" of task vector "${name}"`, "store this task vector as F32: half floats end at 65504");
    blocks.set(block, step);
  }
  return { name, blocks };
}

/** What to write for a task vector: its tensors, and metadata that says what the file is. */
export function taskVectorFile(
  vector: TaskVector,
  about: Readonly<Record<string, string>> = {},
): { tensors: WritableTensors; metadata: Record<string, string> } {
  const metadata = { ...about, format: FORMATS.taskVector, version: String(FORMAT_VERSION), name: vector.name };
  return { tensors: withFactors(vector.blocks), metadata };
}
