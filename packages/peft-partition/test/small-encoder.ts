import { visionSpec } from "@atlas-tv/clip";
import { difference, Random, randomParameters, type BlockSpec, type NamedHostTensors, type TaskVector } from "@atlas-tv/core";

/** A vision transformer with every kind of block. */
export const SPEC = visionSpec({
  embed_dim: 8,
  quick_gelu: true,
  vision_cfg: { image_size: 8, layers: 2, width: 16, head_width: 8, patch_size: 4 },
  text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 },
});

export function visionBlocks(): readonly BlockSpec[] {
  return SPEC.blocks;
}

/** A base and n task vectors, half floats every other one. */
export function smallModel(n: number): { base: NamedHostTensors; vectors: TaskVector[] } {
  const random = new Random("small encoder");
  const base = randomParameters(SPEC, random.fork("base"));
  const vectors = Array.from({ length: n }, (_, i) =>
    difference(`vector ${i}`, base, randomParameters(SPEC, random.fork(i)), i % 2 === 0 ? "F16" : "F32"));
  return { base, vectors };
}
