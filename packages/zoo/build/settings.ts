import type { FinetuningOptions } from "./finetuning.js";
import type { PretrainingOptions } from "./pretraining.js";

/** The one seed of the zoo. */
export const SEED = 0;

/** Images of a pre-training step, half of them emoji, half glyphs. */
export const PRETRAINING_BATCH = 256;

export const PRETRAINING: PretrainingOptions = {
  steps: 2500,
  warmup: 100,
  learningRate: 2e-3,
  weightDecay: 0.05,
  logScale: Math.log(1 / 0.07),
  saveEvery: 100,
};

export const FINETUNING: FinetuningOptions = {
  steps: 200,
  batchSize: 128,
  learningRate: 1e-3,
  weightDecay: 0.1,
  warmup: 10,
};

/** Longest caption in tokens, begin and end included. */
export const CONTEXT_LENGTH = 16;

/** The architecture in open_clip's words, for a vocabulary of that size. */
export function zooConfig(vocabularySize: number) {
  return {
    embed_dim: 128,
    quick_gelu: true,
    vision_cfg: { image_size: 32, layers: 4, width: 128, head_width: 32, patch_size: 8 },
    text_cfg: { context_length: CONTEXT_LENGTH, vocab_size: vocabularySize, width: 128, heads: 4, layers: 1 },
  };
}

/** Class names and prompts of the data sets whose own names the captions of pre-training do not speak. */
export const PROMPTS: Readonly<Record<"MNIST" | "FashionMNIST", { classNames: readonly string[]; templates: readonly string[] }>> = {
  MNIST: {
    classNames: ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    templates: ["the digit {}", "the number {}", "a picture of the digit {}", "a photo of the number {}"],
  },
  FashionMNIST: {
    classNames: ["t-shirt", "trousers", "pullover jacket", "dress", "coat", "sandal", "shirt", "sneaker running shoe", "handbag", "ankle boot"],
    templates: ["{}", "an emoji of {}", "a picture of {}", "a photo of {}"],
  },
};
