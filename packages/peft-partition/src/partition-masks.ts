import { InputError, sizeOf, type BlockSpec, type Random } from "@atlas-tv/core";

/** The part, 0 … K − 1, of each element of a block, row-major: one byte an element up to 256 parts, two beyond. */
export type PartitionMask = Uint8Array | Uint16Array;

/** How the blocks of a model are divided. */
export interface PartitionMasks {
  /** K */
  readonly parts: number;
  /** The mask of a block, the same each time it is asked for; null where the block keeps its pre-trained value. */
  of(block: BlockSpec): PartitionMask | null;
}

/** What two bytes can number. */
export const MOST_PARTS = 2 ** 16;

const ONE_BYTE = 2 ** 8;

function requireParts(parts: number): void {
  if (Number.isInteger(parts) && parts >= 1 && parts <= MOST_PARTS) return;
  throw new InputError({ where: "partition", got: `${parts} parts`, expected: `a whole number from 1 to ${MOST_PARTS}` });
}

function draw(size: number, parts: number, random: Random): PartitionMask {
  const mask = parts <= ONE_BYTE ? new Uint8Array(size) : new Uint16Array(size);
  if (parts > 1) for (let i = 0; i < size; i++) mask[i] = random.below(parts);
  return mask;
}

/** Draws each mask when it is first asked for, and keeps it. */
function lazily(make: (block: BlockSpec) => PartitionMask | null, key: (block: BlockSpec) => string): PartitionMasks["of"] {
  const kept = new Map<string, PartitionMask | null>();
  return (block) => {
    const name = key(block);
    let mask = kept.get(name);
    if (mask === undefined) kept.set(name, mask = make(block));
    return mask;
  };
}

/**
 * Every block has a mask of its own; each element falls into one of K parts with equal chance. The mask depends on the
 * generator's seed and the block's name alone. Where K exceeds the size of a block, some parts are empty.
 */
export function blockMasks(parts: number, random: Random): PartitionMasks {
  requireParts(parts);
  return { parts, of: lazily(({ name, shape }) => draw(sizeOf(shape), parts, random.fork(name)), ({ name }) => name) };
}

/**
 * What the released code does: blocks of one shape share a mask, and all that are not matrices (LayerNorms, biases, the
 * class embedding, the convolution) keep their pre-trained values. For comparison only.
 */
export function releasedMasks(parts: number, random: Random): PartitionMasks {
  requireParts(parts);
  const key = ({ shape }: BlockSpec): string => shape.join("x");
  return { parts, of: lazily((block) => block.shape.length === 2 ? draw(sizeOf(block.shape), parts, random.fork(key(block))) : null, key) };
}
