import { join } from "node:path";
import { hashSplits, rawAndClamped, type DatasetSplit } from "@atlas-tv/checkpoints";
import { InputError, type Composition } from "@atlas-tv/core";
import { activeBackend, compositionRoot } from "./composition-root.js";
import { compositionById } from "./compositions.js";
import { sidesOf, type FinetuningModeFlags } from "./finetuning-mode.js";
import type { Goal } from "./goal.js";
import { learnJointly, type JointSetup } from "./joint-experiment.js";
import { printJointRuns } from "./joint-output.js";
import { loadJointTask, type JointTaskFlags } from "./joint-task.js";
import { learningOf, type Learning, type LearningFlags } from "./learning-flags.js";
import { headHash, loadModel, loadVectors, requireOwnVectors, type LoadedVector } from "./loaded-model.js";
import { includesLeftovers, type RecipeContext, type RecipeWithFallback } from "./recipes.js";
import { recordedRun, type FinishedRun, type Json, type RunPlan } from "./recorded-run.js";
import { divisorsOf, learnedDocument, referenceFile } from "./reference-layouts.js";
import { eachSeed, remarkSavedSeed, type RunFlags } from "./run-flags.js";
import { compositionArtefact, weightHashes } from "./saved-composition.js";
import { threadsOf, type ModelFlags } from "./shared-flags.js";
import { Remarks, type RunRemarks, type Terminal } from "./terminal.js";

/** Flags of the commands that compose for several tasks at once. */
export interface JointFlags extends ModelFlags, JointTaskFlags, FinetuningModeFlags, RunFlags {
  readonly save?: string;
}

export interface JointLearningFlags extends JointFlags, LearningFlags {
  readonly blockwiseCoef: boolean;
}

/** What is combined for which goal. */
export interface JointChoice {
  /** Names or paths of data sets, given the tasks that the model has vectors of. */
  targets(tasks: readonly string[]): readonly string[];
  /** What they are for, given their names. */
  goal(names: readonly string[]): Goal;
}

export interface PreparedJointRun {
  readonly setup: JointSetup;
  readonly vectors: readonly LoadedVector[];
  readonly splits: readonly DatasetSplit[];
  readonly headHashes: readonly string[];
}

function requireDistinct(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (names.length > 1 && twice === undefined) return;
  throw new InputError({
    where: "data sets",
    got: twice === undefined ? names.join(", ") || "none" : `${twice} twice`,
    expected: "at least two that differ",
  });
}

/** Loads and checks all that a run needs, before anything is written. */
export async function prepareJointRun(
  choice: JointChoice,
  composition: Composition,
  flags: JointFlags,
  options: { includeLeftovers: boolean },
  remarks: Remarks,
  signal: AbortSignal,
): Promise<PreparedJointRun> {
  const backend = await activeBackend(await compositionRoot(flags.plugin), flags.backend);
  const { fineTuning, mode } = sidesOf(flags.finetuningMode);
  const model = await loadModel(flags, { ...options, fineTuning });
  const targets = choice.targets(model.folder.tasks);
  const tasks = [];
  for (const target of targets) tasks.push(await loadJointTask(model, target, flags, { backend, remarks, signal }, targets.length));
  const names = tasks.map(({ dataset }) => dataset.name);
  requireDistinct(names);
  const goal = choice.goal(names);
  requireOwnVectors(model, goal.vectors);
  const vectors = await loadVectors(model, goal.vectors, "");
  return {
    setup: {
      backend,
      ...threadsOf(flags),
      model,
      goal,
      tasks,
      vectors: vectors.map(({ vector }) => vector),
      composition,
      mode,
    },
    vectors,
    splits: tasks.map(({ dataset, split }) => ({ name: dataset.name, size: dataset.train.length, seed: 0, ...split, shots: [] })),
    headHashes: await Promise.all(tasks.map(({ head }) => headHash(head))),
  };
}

/** The tasks of a goal in the name of a folder. */
export function goalText({ id, tasks }: Goal): string {
  return id === "negation" ? tasks.join("-") : `${tasks.length}-tasks`;
}

/** What a result depends on beside seed, weights and splits, whatever the command. */
export function jointOptions({ setup, vectors, headHashes }: PreparedJointRun, flags: JointFlags): Record<string, Json> {
  return {
    model: setup.model.folder.name,
    goal: setup.goal.id,
    tasks: [...setup.goal.tasks],
    composition: setup.composition.id,
    finetuningMode: flags.finetuningMode,
    taskVectors: vectors.map(({ vector }) => vector.name),
    heads: [...headHashes],
    images: flags.images ?? null,
    threads: flags.threads ?? null,
  };
}

export async function jointPlan(
  prepared: PreparedJointRun,
  flags: JointFlags,
  run: Pick<RunPlan, "command" | "path" | "label" | "seed"> & { readonly options: Readonly<Record<string, Json>>; readonly source: "learned" | "scalar" },
): Promise<RunPlan> {
  const { setup, vectors, splits } = prepared;
  const { source, ...plan } = run;
  const { goal, model } = setup;
  return {
    ...plan,
    flag: "--run",
    reference: { save: flags.save, model: model.folder.name, file: referenceFile(goal, source, flags.finetuningMode) },
    options: { ...jointOptions(prepared, flags), ...run.options },
    hashes: { ...weightHashes(model, vectors), splits: await hashSplits(splits) },
    backend: setup.backend,
    flags,
  };
}

function recipeContext({ setup }: PreparedJointRun, flags: JointLearningFlags): RecipeContext {
  const [first] = setup.tasks;
  return {
    preset: flags.preset,
    dataset: setup.goal.tasks[0]!,
    family: setup.model.spec.family,
    images: first!.stream.indices.length,
  };
}

/** Learns with one seed in one folder; a finished folder is read back rather than run again. */
export async function runJointly(
  prepared: PreparedJointRun,
  flags: JointLearningFlags,
  learning: Learning,
  seed: number,
  path: string,
  remarks: RunRemarks,
  terminal: Terminal,
): Promise<FinishedRun> {
  const { setup, vectors, splits } = prepared;
  const { goal, model, composition, mode } = setup;
  const options = { preset: flags.preset, ...learning, ...goal.options };
  const plan = await jointPlan(prepared, flags, { command: goal.id, path, label: `seed ${seed}`, seed, options, source: "learned" });
  return recordedRun(plan, remarks, terminal, async (hooks) => {
    const result = await learnJointly(setup, learning, seed, hooks);
    const { learned, zeroShot, finetuned } = result;
    const document = learnedDocument(goal, {
      validation: learned.history,
      test: result.test,
      divisors: divisorsOf(goal, zeroShot, finetuned),
    });
    const kept =
      learned.best === null
        ? `${goal.noneKept}: the coefficients stay 0, which is the pre-trained model`
        : `epoch ${learned.best.record.epoch} of ${learned.history.length} is kept`;
    if (learned.best === null) remarks.add(kept);
    return {
      zeroShot: zeroShot.test,
      final: rawAndClamped(result.test, goal.id === "addition" ? zeroShot.test : {}),
      history: learned.history,
      splits,
      composition: compositionArtefact(model, vectors, composition, result.coefficients, { mode, seed }),
      reference: document,
      notes: learned.best === null ? [] : [kept],
    };
  });
}

/** Learns and prints: what `atlas negation` and `atlas addition` have in common. */
export async function learnFor(
  choice: JointChoice,
  recipe: (context: RecipeContext) => RecipeWithFallback,
  flags: JointLearningFlags,
  terminal: Terminal,
): Promise<void> {
  const remarks = new Remarks(terminal, flags.json);
  const composition = compositionById(flags.blockwiseCoef ? "blockwise" : "isotropic", "--blockwise-coef");
  const options = { includeLeftovers: includesLeftovers(flags.preset) };
  const prepared = await prepareJointRun(choice, composition, flags, options, remarks, terminal.signal);
  const { goal } = prepared.setup;
  const learning = learningOf(flags, recipe(recipeContext(prepared, flags)), remarks.add);
  const folder = join("runs", goal.id, [goalText(goal), composition.id, flags.finetuningMode].join("-"));
  const runs = await eachSeed(flags, folder, (seed, path) => runJointly(prepared, flags, learning, seed, path, remarks.ofRun(), terminal));
  remarkSavedSeed(flags, referenceFile(goal, "learned", flags.finetuningMode), remarks);
  printJointRuns(prepared.setup, runs, composition.id, flags, remarks.all, terminal);
}
