import {
  blockwise,
  BUDGET_RULES,
  chooseAtRandom,
  chooseBlocks,
  chooseVectors,
  coefficientsOfSources,
  featureSimilarity,
  gradientScores,
  InputError,
  loadChosen,
  meanFeature,
  Random,
  requireBudget,
  scoresOfVectors,
  sourcesOf,
  validationTransform,
  type Backend,
  type BudgetChoice,
  type BudgetRule,
  type CompiledEncoder,
  type EncoderInputs,
  type NamedArrays,
  type Objective,
  type TaskVector,
  type TaskVectorSource,
} from "@atlas-tv/core";
import { splitTrainValidation, stillBatches } from "@atlas-tv/datasets";
import { Option, type Command } from "commander";
import { imagesAtOnce, withComposed } from "./evaluation-set.js";
import { count } from "./flags.js";
import { stoppable } from "./interruption.js";
import type { ListedVector, LoadedModel } from "./loaded-model.js";
import { loadTarget } from "./target-data.js";

/** Images of a data set, at most, that task vectors are chosen by: a mean of so many moves little. */
export const BUDGET_IMAGES = 500;

export interface BudgetFlags {
  readonly budget?: number;
  readonly select?: BudgetRule;
}

/** The rule that a budget is spent by where none is given. */
export const DEFAULT_RULE: BudgetRule = "blockwise";

export function addBudgetFlags(command: Command): Command {
  return command
    .option("--budget <b>", "hold and combine so many task vectors only (default: all)", count("--budget"))
    .addOption(
      new Option(
        "--select <rule>",
        `how a budget is spent: on whole vectors by chance, by features or by gradient, or block by block (default: ${DEFAULT_RULE})`,
      ).choices(BUDGET_RULES),
    );
}

/** @throws InputError before anything is loaded, when the flags do not go together. */
export function checkBudget({ budget, select }: BudgetFlags, composition: string, n: number): void {
  if (budget === undefined) {
    if (select === undefined) return;
    throw new InputError({
      where: `--select ${select}`,
      got: "no budget to spend",
      expected: "--budget B beside it",
      next: "say how many task vectors may be held, for example --budget 2, or leave --select out to combine all",
    });
  }
  requireBudget(budget, n);
  if ((select ?? DEFAULT_RULE) !== "blockwise" || composition === "blockwise") return;
  throw new InputError({
    where: "--select blockwise",
    got: `${composition} coefficients`,
    expected: "a coefficient for every task vector and block, as every block has vectors of its own",
    next: "give another --select, or leave the flag of the composition out",
  });
}

/** What a budget was spent on. */
export interface SpentBudget {
  readonly vectors: readonly TaskVector[];
  /** The vectors that something was taken from, as the composition's file names them. */
  readonly sources: readonly ListedVector[];
  /** Learned coefficients as those of the sources. */
  coefficients(learned: NamedArrays): NamedArrays;
  /** For the run's record. */
  readonly note: string;
}

/** What is learned, as the choice of vectors sees it. */
export interface BudgetGoal<B> {
  /** The images that are learned from, without augmentation. */
  readonly images: AsyncIterable<{ readonly images: EncoderInputs }>;
  readonly objective: Objective<B>;
  /** Batches that its loss is differentiated on, again and again the same, given the pre-trained model. */
  batches(encoder: CompiledEncoder): Promise<() => Iterable<B> | AsyncIterable<B>>;
}

export interface BudgetContext {
  readonly backend: Backend;
  readonly threads?: number;
  /** As `compile` takes them. */
  readonly microBatch?: number;
  readonly recompute?: boolean;
  readonly model: LoadedModel;
  readonly listed: readonly ListedVector[];
  readonly seed: number;
  readonly dataLocation?: string;
  readonly signal: AbortSignal;
}

function sourceOf({ model, listed }: BudgetContext): TaskVectorSource {
  return { names: listed.map(({ name }) => name), load: (index, only) => model.folder.taskVector(listed[index]!.name, model.spec, only) };
}

function meanOf(encoder: CompiledEncoder, images: BudgetGoal<never>["images"]): Promise<Float32Array> {
  return withComposed(encoder, encoder.initialCoefficients(), (composed) => meanFeature(composed, images));
}

/** Cosines between the mean feature of the images that are learned from and those of every vector's own data set, by the pre-trained model. */
async function featureScores(encoder: CompiledEncoder, images: BudgetGoal<never>["images"], context: BudgetContext): Promise<number[]> {
  const { model, listed, dataLocation, signal } = context;
  const own = await meanOf(encoder, images);
  const transform = validationTransform(model.spec.imageSize, model.normalisation);
  const scores: number[] = [];
  for (const { name } of listed) {
    const dataset = await loadTarget({ target: name, ...(dataLocation === undefined ? {} : { dataLocation }) });
    const indices = splitTrainValidation(dataset.train.length).train.subarray(0, BUDGET_IMAGES);
    const its = stoppable(stillBatches({ source: dataset.train, indices, batchSize: imagesAtOnce(model.spec), transform }), signal);
    scores.push(featureSimilarity(own, await meanOf(encoder, its)));
  }
  return scores;
}

async function choose<B>(rule: BudgetRule, budget: number, goal: BudgetGoal<B>, context: BudgetContext): Promise<BudgetChoice> {
  const { backend, model, listed, seed, signal, threads, microBatch, recompute } = context;
  const m = model.spec.blocks.length;
  if (rule === "random") return chooseAtRandom(listed.length, budget, m, new Random(seed).fork("budget"));
  const encoder = await backend.compile(model.spec, model.base, [], blockwise(), {
    ...(threads === undefined ? {} : { threads }),
    ...(microBatch === undefined ? {} : { microBatch }),
    ...(recompute === undefined ? {} : { recompute }),
  });
  try {
    if (rule === "features") return chooseVectors(await featureScores(encoder, goal.images, context), budget, m);
    const scores = await gradientScores({
      encoder,
      vectors: sourceOf(context),
      budget,
      objective: goal.objective,
      batches: await goal.batches(encoder),
      ...(microBatch === undefined ? {} : { microBatch }),
      signal,
    });
    return rule === "blockwise" ? chooseBlocks(scores, budget, m) : chooseVectors(scoresOfVectors(scores, m), budget, m);
  } finally {
    encoder.dispose();
  }
}

/** Chooses b of the listed vectors, or of their blocks, and loads those; at no moment are more than b vectors held. */
export async function spendBudget<B>(
  { budget, select = DEFAULT_RULE }: { readonly budget: number; readonly select: BudgetRule | undefined },
  goal: BudgetGoal<B>,
  context: BudgetContext,
): Promise<SpentBudget> {
  const { model, listed } = context;
  const choice = await choose(select, budget, goal, context);
  const vectors = await loadChosen(choice, model.spec.blocks, sourceOf(context));
  const sources = (select === "blockwise" ? sourcesOf(choice) : choice.map((row) => row[0]!)).map((index) => listed[index]!);
  const note = `the budget was spent on ${sources.map(({ name }) => name).join(", ")}`;
  if (select !== "blockwise") return { vectors, sources, note, coefficients: (learned) => learned };
  return {
    vectors,
    sources,
    note,
    coefficients: ({ coef, ...own }) => ({ ...own, coef: coefficientsOfSources(choice, coef!) }),
  };
}
