import { constantSchedule, cosineSchedule, type CompileOptions, type LearnOptions, type LpRegulariser } from "@atlas-tv/core";
import { Option, type Command } from "commander";
import { count, nonNegative, numberFlag, positive } from "./flags.js";
import { PRESETS, type Preset, type Recipe, type RecipeWithFallback } from "./recipes.js";

/** Flags of whatever learns. What is left open the preset's recipe says. */
export interface LearningFlags {
  readonly preset: Preset;
  readonly lr?: number;
  readonly wd?: number;
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly accumulate: number;
  readonly microBatch?: number;
  readonly recompute?: boolean;
  readonly lpReg?: 1 | 2;
}

/** How it is learned, all said. */
export interface Learning extends Recipe {
  readonly accumulate: number;
  readonly microBatch: number | null;
  /** Absent: activations are kept. */
  readonly recompute?: true;
  readonly lpReg: 1 | 2 | null;
}

export function addLearningFlags(command: Command): Command {
  return command
    .optionsGroup("How it is learned:")
    .addOption(
      new Option("--preset <name>", "the recipe that fills what is left open: the paper's, the released code's, or the default")
        .choices(PRESETS)
        .default("default"),
    )
    .option("--lr <rate>", "peak learning rate (default: the preset's)", positive("--lr"))
    .option("--wd <decay>", "weight decay (default: the preset's)", nonNegative("--wd"))
    .option("--epochs <n>", "passes over the images (default: the preset's)", count("--epochs"))
    .option("--batch-size <n>", "images a batch (default: the preset's)", count("--batch-size"))
    .option("--accumulate <n>", "batches a step", count("--accumulate"), 1)
    .option("--micro-batch <n>", "images computed at once (default: the batch)", count("--micro-batch"))
    .option("--recompute", "compute activations anew in the backward pass rather than keep them: less memory, more time");
}

/** Adds the flag of the Lp term, for commands that learn coefficients of task vectors. */
export function addRegularisationFlag(command: Command): Command {
  return command.option(
    "--lp-reg <p>",
    "regularise with the L1 or L2 norm: 1 or 2 (default: neither)",
    numberFlag("--lp-reg", (value) => value === 1 || value === 2, "1 or 2"),
  );
}

/** The recipe, with what the flags say instead. @param remark is told what the preset had no number for. */
export function learningOf(flags: LearningFlags, recipe: RecipeWithFallback, remark: (text: string) => void): Learning {
  const { fallback } = recipe;
  if (fallback?.flags.some((flag) => flags[flag] === undefined) === true) remark(`--preset ${flags.preset}: ${fallback.text}`);
  return {
    lr: flags.lr ?? recipe.lr,
    wd: flags.wd ?? recipe.wd,
    epochs: flags.epochs ?? recipe.epochs,
    batchSize: flags.batchSize ?? recipe.batchSize,
    schedule: recipe.schedule,
    warmup: recipe.warmup,
    clip: recipe.clip,
    accumulate: flags.accumulate,
    microBatch: flags.microBatch ?? null,
    ...(flags.recompute === true ? { recompute: true } : {}),
    lpReg: flags.lpReg ?? null,
  };
}

/** What `compile` of a backend takes of it: what bounds memory. */
export function memoryOptions({ microBatch, recompute }: Pick<Learning, "microBatch" | "recompute">): Pick<CompileOptions, "microBatch" | "recompute"> {
  return { ...(microBatch === null ? {} : { microBatch }), ...(recompute === undefined ? {} : { recompute }) };
}

type LearnerOptions = Pick<
  LearnOptions<never>,
  "epochs" | "learningRate" | "schedule" | "adamw" | "clipNorm" | "accumulate" | "microBatch" | "regulariser"
>;

/** What `learn` takes of it. */
export function learnerOptions({ microBatch, lpReg, ...learning }: Learning): LearnerOptions {
  const regulariser: LpRegulariser | null = lpReg === null ? null : { order: lpReg };
  return {
    epochs: learning.epochs,
    learningRate: learning.lr,
    schedule: learning.schedule === "cosine" ? cosineSchedule(learning.warmup) : constantSchedule,
    adamw: { weightDecay: learning.wd },
    clipNorm: learning.clip,
    accumulate: learning.accumulate,
    ...(microBatch === null ? {} : { microBatch }),
    ...(regulariser === null ? {} : { regulariser }),
  };
}
