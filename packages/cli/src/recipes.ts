/**
 * How things are learned by default: the numbers that flags change. A preset is a column of these tables: `paper` as
 * published (arXiv 2407.02880, section 4 and appendix), `released` what the authors' code effectively does, `default`
 * what suits the zoo's model, whose images are small and many.
 */
import type { EncoderSpec } from "@atlas-tv/core";

export const PRESETS = ["default", "paper", "released"] as const;

export type Preset = (typeof PRESETS)[number];

export interface Recipe {
  /** Peak learning rate. */
  readonly lr: number;
  /** Decoupled weight decay. */
  readonly wd: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly schedule: "constant" | "cosine";
  /** Steps of linear warm-up before the schedule. */
  readonly warmup: number;
  /** Largest joint norm of all gradients. */
  readonly clip: number;
}

/** A recipe where the paper has no number for the data set. */
export interface RecipeWithFallback extends Recipe {
  readonly fallback?: {
    /** The flags that would say what the paper does not. */
    readonly flags: readonly ("lr" | "epochs")[];
    /** What is missing, and what is taken for it. */
    readonly text: string;
  };
}

/** What a recipe may depend on. */
export interface RecipeContext {
  readonly preset: Preset;
  /** Name of the data set, as the tables have it. */
  readonly dataset: string;
  readonly family: EncoderSpec["family"];
  /** Whether an adapter is learned beside the coefficients. */
  readonly joint?: boolean;
  /** Images of an epoch. */
  readonly images?: number;
  /** Labelled images a class. */
  readonly shots?: number;
}

/** The paper's optimiser: AdamW with weight decay 0.1, gradients clipped at norm 1, batches of 128. */
const PAPER: Recipe = { lr: 1e-3, wd: 0.1, epochs: 10, batchSize: 128, schedule: "constant", warmup: 0, clip: 1 };

/**
 * The released code clips gradients that are still multiplied by its loss scale of 2^16, which clips at 2^-16, and its
 * coefficients have columns for the text tower's blocks.
 */
const RELEASED_CLIP = 2 ** -16;

/** Learning rate and epochs of negation (paper, appendix), chosen there on ViT-B/32. */
const NEGATION: Readonly<Record<string, Pick<Recipe, "lr" | "epochs">>> = {
  Cars: { lr: 5e-3, epochs: 20 },
  DTD: { lr: 1e-2, epochs: 20 },
  EuroSAT: { lr: 5e-3, epochs: 3 },
  GTSRB: { lr: 5e-3, epochs: 5 },
  MNIST: { lr: 3e-3, epochs: 7 },
  RESISC45: { lr: 2e-3, epochs: 10 },
  SUN397: { lr: 3e-3, epochs: 10 },
  SVHN: { lr: 5e-3, epochs: 2 },
};

/** Steps of negation where the paper has no number of epochs: six epochs of MNIST's 5,000 validation images. */
const NEGATION_STEPS = 470;

/** An epoch ends with a look at all validation images, which costs more than its few steps on a small set. */
const MOST_NEGATION_EPOCHS = 30;

/** Steps that the paper's epochs come to on its eight first data sets, to the nearest epoch. */
const FINETUNING_STEPS = 2000;

/** Epochs of fine-tuning (paper, appendix). */
const FINETUNING_EPOCHS: Readonly<Record<string, number>> = {
  Cars: 35, DTD: 76, EuroSAT: 12, GTSRB: 11, MNIST: 5, RESISC45: 15, SUN397: 14, SVHN: 4, CIFAR10: 5, CIFAR100: 6, ImageNet: 10,
  STL10: 4, Food101: 15, Caltech101: 10, Caltech256: 8, FGVCAircraft: 60, Flowers102: 40, OxfordIIITPet: 5, CUB200: 20,
  PascalVOC: 10, Country211: 15, UCF101: 20,
};

function published(preset: Preset, recipe: Recipe): Recipe {
  return preset === "released" ? { ...recipe, clip: RELEASED_CLIP } : recipe;
}

/** Whether coefficients have columns for the blocks of the text tower, which stay 0 and count in the Lp term. */
export function includesLeftovers(preset: Preset): boolean {
  return preset === "released";
}

/** As many epochs as make {@link NEGATION_STEPS}, up to {@link MOST_NEGATION_EPOCHS}; half of each batch is the target's. */
function negationEpochs(images: number): number {
  const steps = Math.ceil(images / (PAPER.batchSize / 2));
  return Math.min(MOST_NEGATION_EPOCHS, Math.max(1, Math.round(NEGATION_STEPS / steps)));
}

/**
 * Negation: −CE(target) + CE(control). Data sets that the paper does not have take the default's rate and epochs. The
 * coefficient of a block moves by at most the rate in a step, so that few images need more epochs.
 */
export function negationRecipe({ preset, dataset, images = Infinity }: RecipeContext): RecipeWithFallback {
  const own = { lr: 2e-3, epochs: negationEpochs(images) };
  if (preset === "default") return { ...PAPER, ...own };
  const recipe = published(preset, { ...PAPER, ...own, ...NEGATION[dataset] });
  if (Object.hasOwn(NEGATION, dataset)) return recipe;
  const text = `the paper has no learning rate and epochs for the negation of ${dataset}: the default preset's are taken, ${own.lr} and ${own.epochs}`;
  return { ...recipe, fallback: { flags: ["lr", "epochs"], text } };
}

/** Addition: the sum of the tasks' cross-entropies. */
export function additionRecipe({ preset }: RecipeContext): Recipe {
  const recipe = { ...PAPER, lr: 1e-3, epochs: 20 };
  return preset === "default" ? { ...recipe, lr: 1e-2 } : published(preset, recipe);
}

/** The paper's rate of 0.1 learns fewer images than 16 a class by heart, and a single one 0.03 does too. */
const fewShotRate = (shots: number): number => (shots >= 16 ? 0.1 : shots > 1 ? 0.03 : 0.01);

/** Few-shot learning: cosine to 0 without warm-up, three times as long on a ResNet, twice as long with a joint adapter. */
export function fewShotRecipe({ preset, family, joint = false, shots = Infinity }: RecipeContext): Recipe {
  const epochs = (family === "resnet" ? 30 : 10) * (joint ? 2 : 1);
  const recipe: Recipe = { ...PAPER, lr: 0.1, epochs, schedule: "cosine" };
  return preset === "default" ? { ...recipe, lr: fewShotRate(shots), batchSize: 64 } : published(preset, recipe);
}

/** Learning without labels, at test time (paper, section 4.4). */
export function ufmRecipe({ preset }: RecipeContext): Recipe {
  const recipe: Recipe = { ...PAPER, lr: 1e-3, epochs: 10, schedule: "cosine" };
  return preset === "default" ? { ...recipe, lr: 0.03 } : published(preset, recipe);
}

/** Test images that are adapted to at most, for an answer within minutes on a laptop; Infinity: all, as published. */
export function ufmImages(preset: Preset): number {
  return preset === "default" ? 2500 : Infinity;
}

/** As many epochs as the paper's eight first data sets had by their number of images: about 2,000 steps. */
export function finetuningEpochs(images: number): number {
  return Math.max(1, Math.round((FINETUNING_STEPS * PAPER.batchSize) / images));
}

/** Fine-tuning, which makes task vectors. */
export function finetuningRecipe({ preset, dataset, images = Infinity }: RecipeContext): RecipeWithFallback {
  const recipe: Recipe = { ...PAPER, lr: 1e-5, epochs: 1, schedule: "cosine" };
  if (preset === "default") return recipe;
  const epochs = FINETUNING_EPOCHS[dataset];
  if (epochs !== undefined) return { ...recipe, warmup: 500, epochs };
  const own = finetuningEpochs(images);
  const text = `the paper has no epochs of fine-tuning for ${dataset}: ${own} are taken, about ${FINETUNING_STEPS} steps as on its eight first data sets`;
  return { ...recipe, warmup: 500, epochs: own, fallback: { flags: ["epochs"], text } };
}
