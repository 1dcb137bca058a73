import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "@atlas-tv/core";
import { encode } from "fast-png";

const SIDE = 16;

/** A noisy picture in which one colour channel is the strongest. */
function picture(channel: number, random: Random): Uint8Array {
  const data = new Uint8Array(SIDE * SIDE * 3).map((_, i) => random.below(i % 3 === channel ? 256 : 160));
  return encode({ width: SIDE, height: SIDE, channels: 3, depth: 8, data });
}

export interface PictureCounts {
  /** Training and test images of each class. */
  readonly train?: number;
  readonly test?: number;
}

/** Writes `train/<class>/` and `test/<class>/` with PNG files. */
export function writePictures(folder: string, classes: readonly string[], { train = 14, test = 8 }: PictureCounts = {}): void {
  const random = new Random("pictures");
  for (const [part, count] of [
    ["train", train],
    ["test", test],
  ] as const) {
    for (const [label, name] of classes.entries()) {
      const to = join(folder, part, name);
      mkdirSync(to, { recursive: true });
      for (let i = 0; i < count; i++)
        writeFileSync(join(to, `${i}.png`), picture(label % 3, random.fork(`${part} ${name} ${i}`)));
    }
  }
}
