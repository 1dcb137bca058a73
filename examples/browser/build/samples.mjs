import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "@atlas-tv/core";
import { fewShots, mnist, splitTrainValidation } from "@atlas-tv/datasets";
import { encode } from "fast-png";

/** Images of each digit; the first ones are learned from, the others checked. */
const LEARNED = 4;
const CHECKED = 12;

/** The prompts of the zoo's own head for digits. */
const TEMPLATES = ["the digit {}", "the number {}", "a picture of the digit {}", "a photo of the number {}"];

const NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/**
 * Real handwritten digits as one picture, a row a class, and a description of it: what the page offers to those who
 * have no images at hand. They come from the training images of MNIST, so its test images stay unseen.
 */
export async function writeSamples(folder) {
  const { train } = await mnist({ classNames: NAMES, resolveFrom: [import.meta.dirname] });
  const columns = LEARNED + CHECKED;
  const indices = fewShots(train.labels, splitTrainValidation(train.length).train, columns, new Random("samples"));
  const first = await train.image(indices[0]);
  const side = first.width;
  const sheet = new Uint8Array(columns * side * NAMES.length * side);
  const seen = NAMES.map(() => 0);
  for (const index of indices) {
    const label = train.labels[index];
    const column = seen[label]++;
    const { data } = await train.image(index);
    for (let y = 0; y < side; y++) sheet.set(data.subarray(y * side, (y + 1) * side), ((label * side + y) * columns + column) * side);
  }
  mkdirSync(folder, { recursive: true });
  const png = encode({ width: columns * side, height: NAMES.length * side, channels: 1, depth: 8, data: sheet });
  writeFileSync(join(folder, "digits.png"), png);
  writeFileSync(join(folder, "digits.json"), JSON.stringify({ side, learned: LEARNED, checked: CHECKED, classNames: NAMES, templates: TEMPLATES, augmentation: "affine", task: "MNIST" }));
}
