import { Random } from "@atlas-tv/core";
import { fewShots, mnist, splitTrainValidation } from "@atlas-tv/datasets";
import { encode } from "fast-png";
import type { TestImage } from "./static-page.js";

/** A real handwritten digit as a PNG file. */
export interface DigitImage extends TestImage {
  readonly label: number;
}

/** `count` images of each digit as PNG files, from MNIST's training images. */
export async function digitImages(count: number, seed: string): Promise<DigitImage[]> {
  const { train } = await mnist({ resolveFrom: [import.meta.dirname] });
  const indices = fewShots(train.labels, splitTrainValidation(train.length).train, count, new Random(seed));
  return Promise.all(Array.from(indices, async (index) => {
    const { width, height, data } = await train.image(index);
    const label = train.labels[index]!;
    return { label, name: `${label}-${index}.png`, type: "image/png", bytes: encode({ width, height, channels: 1, depth: 8, data }) };
  }));
}
