import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fixturePath } from "../../../packages/core/test/fixture-files.js";

/** Files of a model folder and the golden checkpoints they are: pickles and safetensors. */
const FILES = {
  "open_clip_config.json": "open_clip_config.json",
  "zeroshot.pt": "zeroshot.pt",
  "AVal/finetuned.pt": "finetuned_0.pt",
  "BVal/finetuned.safetensors": "finetuned_1.safetensors",
};

/** Its task vectors. */
export const OWN_TASKS = ["A", "B"];

/** A CLIP of two layers as a person's own model folder: it has no text encoder, and is small enough for an emulated graphics card. */
export function ownModel(folder: string): string {
  for (const [path, checkpoint] of Object.entries(FILES)) {
    const to = join(folder, path);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(fixturePath(`checkpoints/${checkpoint}`), to);
  }
  return folder;
}
