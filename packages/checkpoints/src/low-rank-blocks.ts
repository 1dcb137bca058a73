import {
  InputError, sameShape,
  type EncoderSpec, type HostTensor, type LowRankTensor, type StateDict, type StoredTensor, type TaskVectorBlock,
} from "@atlas-tv/core";

/** A block of low rank is stored as its factors, `[rows, r]` and `[r, columns]`, under its name and these. */
const LEFT = ".lora_left";
const RIGHT = ".lora_right";

/** Tensors to write for a task vector: a low-rank block as its two factors. */
export function withFactors(blocks: ReadonlyMap<string, TaskVectorBlock>): Map<string, HostTensor> {
  return new Map(
    [...blocks].flatMap(([name, block]): [string, HostTensor][] =>
      block.dtype === "low-rank" ? [[name + LEFT, block.left], [name + RIGHT, block.right]] : [[name, block]],
    ),
  );
}

/** @throws InputError when one factor of a block is there without the other, or beside the whole block. */
export function separateFactors(dict: StateDict, where: string): { full: StateDict; factors: Map<string, { left: StoredTensor; right: StoredTensor }> } {
  const full = new Map(dict);
  const factors = new Map<string, { left: StoredTensor; right: StoredTensor }>();
  const names = [...dict.keys()].filter((name) => name.endsWith(LEFT) || name.endsWith(RIGHT));
  for (const block of new Set(names.map((name) => name.slice(0, name.endsWith(LEFT) ? -LEFT.length : -RIGHT.length)))) {
    const left = dict.get(block + LEFT);
    const right = dict.get(block + RIGHT);
    if (left === undefined || right === undefined || dict.has(block)) {
      const got = dict.has(block) ? "the whole block beside its factors" : `${left === undefined ? RIGHT : LEFT} alone`;
      throw new InputError({ where: `block "${block}" of ${where}`, got, expected: `the block, or both ${LEFT} and ${RIGHT}` });
    }
    full.delete(block + LEFT);
    full.delete(block + RIGHT);
    factors.set(block, { left, right });
  }
  return { full, factors };
}

/** @throws InputError when the model has no such block, or the factors do not give its shape. */
export function lowRankBlock(spec: EncoderSpec, name: string, left: HostTensor, right: HostTensor, where: string): LowRankTensor {
  const shape = spec.blocks.find((block) => block.name === name)?.shape;
  const rank = right.shape[0] ?? -1;
  const [rows = -1, columns = -1] = shape ?? [];
  if (shape?.length === 2 && sameShape(left.shape, [rows, rank]) && sameShape(right.shape, [rank, columns])) {
    return { dtype: "low-rank", shape, left, right };
  }
  throw new InputError({
    where: `block "${name}" of ${where}`,
    got: `factors [${left.shape.join(", ")}] and [${right.shape.join(", ")}]`,
    expected: shape === undefined ? "a block of the model" : `factors of a block [${shape.join(", ")}]`,
  });
}
