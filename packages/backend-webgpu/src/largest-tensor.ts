import { sizeOf, type EncoderSpec } from "@atlas-tv/core";

const FLOAT_BYTES = 4;

/** The largest block, which composing needs as one buffer. */
export function largestBlock({ blocks }: EncoderSpec): { name: string; bytes: number } {
  const used = blocks.filter(({ kind }) => kind !== "leftover").map(({ name, shape }) => ({ name, bytes: FLOAT_BYTES * sizeOf(shape) }));
  return used.reduce((largest, block) => (block.bytes > largest.bytes ? block : largest), { name: "", bytes: 0 });
}

/** Bytes of the largest tensor between the layers, for one row of a batch. */
export function activationBytes(spec: EncoderSpec): number {
  if (spec.family === "resnet") {
    // The stem's first convolution gathers its nine taps of three channels; the first layer's blocks have 4 × width channels.
    const half = (spec.imageSize / 2) ** 2;
    const quarter = (spec.imageSize / 4) ** 2;
    return FLOAT_BYTES * Math.max(half * 27, half * spec.width, quarter * 4 * spec.width);
  }
  const tokens = spec.family === "vit" ? (spec.imageSize / spec.patchSize) ** 2 + 1 : spec.contextLength;
  const pixels = spec.family === "vit" ? 3 * spec.imageSize ** 2 : 0;
  return FLOAT_BYTES * Math.max(pixels, tokens * spec.mlpWidth, tokens * 3 * spec.width, spec.heads * tokens ** 2);
}
