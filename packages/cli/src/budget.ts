import {
  blockwise,
  BUDGET_RULES,
  chooseAtRandom,
  chooseBlocks,
  chooseVectors,
  coefficientsOfSources,
  CrossEntropyObjective,
  featureSimilarity,
  gradientScores,
  InputError,
  loadChosen,
  Random,
  requireBudget,
  scoresOfVectors,
  sourcesOf,
  validationTransform,
  type BudgetChoice,
  type BudgetRule,
  type CompiledEncoder,
  type Dataset,
  type NamedArrays,
  type TaskVector,
  type TaskVectorSource,
} from "@atlas-tv/core";
import { evaluationBatches, splitTrainValidation } from "@atlas-tv/datasets";
import { Option, type Command } from "commander";
import { EvaluationSet, withComposed } from "./evaluation-set.js";
import type { FewShotSetup } from "./few-shot-experiment.js";
import { count } from "./flags.js";
import { stoppable } from "./interruption.js";
import type { ListedVector } from "./loaded-model.js";
import { loadTarget } from "./target-data.js";

/** Images of a data set whose mean feature stands for it. */
const FEATURE_IMAGES = 500;

/** Images whose loss is differentiated at once. */
const GRADIENT_BATCH = 64;

export interface BudgetFlags {
  readonly budget?: number;
  readonly select: BudgetRule;
}

export function addBudgetFlags(command: Command): Command {
  return command
    .option("--budget <b>", "hold and combine so many task vectors only (default: all)", count("--budget"))
    .addOption(
      new Option("--select <rule>", "how a budget is spent: on whole vectors by chance, by features or by gradient, or block by block")
        .choices(BUDGET_RULES)
        .default("blockwise"),
    );
}

/** @throws InputError before anything is loaded, when the flags do not go together. */
export function checkBudget({ budget, select }: BudgetFlags, composition: string, n: number): void {
  if (budget === undefined) return;
  requireBudget(budget, n);
  if (select !== "blockwise" || composition === "blockwise") return;
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
}

export interface BudgetContext {
  readonly setup: FewShotSetup;
  readonly listed: readonly ListedVector[];
  /** Of the target's training images. */
  readonly shots: Int32Array;
  readonly seed: number;
  readonly dataLocation?: string;
  readonly signal: AbortSignal;
}

function sourceOf({ setup, listed }: BudgetContext): TaskVectorSource {
  const { folder, spec } = setup.model;
  return { names: listed.map(({ name }) => name), load: (index) => folder.taskVector(listed[index]!.name, spec) };
}

async function meanFeature(encoder: CompiledEncoder, { setup, signal }: BudgetContext, { train }: Dataset, indices: Int32Array): Promise<Float32Array> {
  const images = new EvaluationSet(setup.model, setup.head, { source: train, indices }, signal);
  const { features, width } = await withComposed(encoder, encoder.initialCoefficients(), (composed) => images.features(composed));
  const mean = new Float32Array(width);
  features.forEach((value, at) => {
    mean[at % width]! += (value * width) / features.length;
  });
  return mean;
}

/** Cosines between the mean feature of the target's shots and those of every vector's own data set, by the pre-trained model. */
async function featureScores(encoder: CompiledEncoder, context: BudgetContext): Promise<number[]> {
  const { setup, listed, shots, dataLocation } = context;
  const own = await meanFeature(encoder, context, setup.dataset, shots);
  const scores: number[] = [];
  for (const { name } of listed) {
    const dataset = await loadTarget({ target: name, ...(dataLocation === undefined ? {} : { dataLocation }) });
    const { train } = splitTrainValidation(dataset.train.length);
    scores.push(featureSimilarity(own, await meanFeature(encoder, context, dataset, train.subarray(0, FEATURE_IMAGES))));
  }
  return scores;
}

async function choose(rule: BudgetRule, budget: number, context: BudgetContext): Promise<BudgetChoice> {
  const { setup, listed, shots, seed, signal } = context;
  const { model, backend, dataset, head, threads } = setup;
  const { spec, base, normalisation } = model;
  const m = spec.blocks.length;
  if (rule === "random") return chooseAtRandom(listed.length, budget, m, new Random(seed).fork("budget"));
  const encoder = await backend.compile(spec, base, [], blockwise(), threads === undefined ? {} : { threads });
  try {
    if (rule === "features") return chooseVectors(await featureScores(encoder, context), budget, m);
    const transform = validationTransform(spec.imageSize, normalisation);
    const batches = stoppable(evaluationBatches({ source: dataset.train, indices: shots, batchSize: GRADIENT_BATCH, transform }), signal);
    const scores = await gradientScores({
      encoder,
      vectors: sourceOf(context),
      budget,
      objective: new CrossEntropyObjective(head),
      batches: () => batches,
      signal,
    });
    return rule === "blockwise" ? chooseBlocks(scores, budget, m) : chooseVectors(scoresOfVectors(scores, m), budget, m);
  } finally {
    encoder.dispose();
  }
}

/** Chooses b of the listed vectors, or of their blocks, and loads those; at no moment are more than b whole vectors held. */
export async function spendBudget(budget: number, rule: BudgetRule, context: BudgetContext): Promise<SpentBudget> {
  const { setup, listed } = context;
  const choice = await choose(rule, budget, context);
  const vectors = await loadChosen(choice, setup.model.spec.blocks, sourceOf(context));
  if (rule !== "blockwise") {
    return { vectors, sources: choice.map((row) => listed[row[0]!]!), coefficients: (learned) => learned };
  }
  return {
    vectors,
    sources: sourcesOf(choice).map((index) => listed[index]!),
    coefficients: ({ coef, ...own }) => ({ ...own, coef: coefficientsOfSources(choice, coef!) }),
  };
}
