import { hashSplits, rawAndClamped, type DatasetSplit } from "@atlas-tv/checkpoints";
import { InputError, type Accuracy, type CompileOptions, type Composition, type Dataset, type NamedArrays } from "@atlas-tv/core";
import { splitTrainValidation } from "@atlas-tv/datasets";
import type { DependencyContainer } from "tsyringe";
import { chosenAdapter, type AdapterFlags, type ChosenAdapter } from "./adapters.js";
import { checkBudget, DEFAULT_RULE, spendBudget, type BudgetFlags, type SpentBudget } from "./budget.js";
import { activeBackend } from "./composition-root.js";
import { chosenComposition, type CompositionChoice, type CompositionFlags } from "./compositions.js";
import { fewShotGoal, fewShotSplit, runFewShots, type FewShotRecipe, type FewShotResult, type FewShotSetup, type FewShotSplit } from "./few-shot-experiment.js";
import { sidesOf, type FinetuningModeFlags } from "./finetuning-mode.js";
import type { Subsample } from "./flags.js";
import { learningOf, memoryOptions, type Learning, type LearningFlags } from "./learning-flags.js";
import { headHash, listVectors, loadHead, loadModel, loadVectors, type ListedVector } from "./loaded-model.js";
import type { Outcome } from "./outcomes.js";
import { checkedOptions, findPlugin } from "./plugin-finder.js";
import { UNMOVED } from "./pretrained-start.js";
import { fewShotRecipe, includesLeftovers } from "./recipes.js";
import { asJson, recordedRun, type Json, type RunResult } from "./recorded-run.js";
import { compositionDocument, compositionFile } from "./reference-layouts.js";
import type { RunFlags } from "./run-flags.js";
import { compositionArtefact, savedChoice, weightHashes } from "./saved-composition.js";
import { threadsOf, type TargetFlags, type VectorFlags } from "./shared-flags.js";
import { loadTarget } from "./target-data.js";
import type { Remarks, RunRemarks, Terminal } from "./terminal.js";

/** The flags of `atlas few-shots`. */
export interface FewShotFlags extends TargetFlags, VectorFlags, LearningFlags, CompositionFlags, AdapterFlags, BudgetFlags, FinetuningModeFlags, RunFlags {
  readonly subsample: Subsample;
  readonly objective: string;
  readonly objectiveOptions?: Readonly<Record<string, unknown>>;
  readonly labelSmoothing: number;
  readonly validationImages: number;
  readonly allowShort: boolean;
  readonly save?: string;
}

export interface PreparedFewShots {
  readonly setup: FewShotSetup;
  readonly composition: CompositionChoice;
  /** What is learned, for people and folder names: "blockwise", "partition-10", "zero-shot" where no coefficients are. */
  readonly label: string;
  /** What may be combined; with a budget they are loaded when it is spent. */
  readonly vectors: readonly ListedVector[];
  readonly mode: NonNullable<CompileOptions["mode"]>;
  readonly headHash: string;
  readonly learning: Learning;
}

export function subsampleText(subsample: Subsample): string {
  if ("shots" in subsample) return String(subsample.shots);
  return Number.isInteger(subsample.fraction) ? subsample.fraction.toFixed(1) : String(subsample.fraction);
}

/** A joint adapter brings its own objective, plain cross-entropy through its own logits. */
function refuseOtherObjective({ objective, objectiveOptions, labelSmoothing }: FewShotFlags): void {
  if (objective === "cross-entropy" && objectiveOptions === undefined && labelSmoothing === 0) return;
  throw new InputError({
    where: "--adapter",
    got: "an objective, or options of one, beside an adapter that is learned jointly",
    expected: "plain cross-entropy: the adapter's own logits go into it",
    next: "give --adapter-mode sequential, or leave --objective, --objective-options and --label-smoothing out",
  });
}

function refuseIdleBudget({ compose, budget }: FewShotFlags): void {
  if (compose || budget === undefined) return;
  throw new InputError({ where: "--no-compose", got: "--budget beside it", expected: "one of the two: no task vector is combined without coefficients" });
}

/** Flags that say how coefficients are learned. */
const OF_COEFFICIENTS = {
  lr: "--lr", wd: "--wd", epochs: "--epochs", batchSize: "--batch-size", lpReg: "--lp-reg", partition: "--partition",
} as const;

/** Says which flags come to nothing where no coefficients are learned: an adapter has options of its own. */
function remarkIdleFlags(flags: FewShotFlags, remark: (text: string) => void): void {
  const given = Object.keys(OF_COEFFICIENTS) as (keyof typeof OF_COEFFICIENTS)[];
  const idle = given.filter((flag) => flags[flag] !== undefined).map((flag) => OF_COEFFICIENTS[flag]);
  if (flags.compose || idle.length === 0) return;
  remark(`--no-compose: no effect of ${idle.join(", ")}, as no coefficients are learned; --adapter-options says how the adapter is fitted`);
}

/** Of the images that are learned from, on the mean. */
function imagesPerClass(subsample: Subsample, { train, classNames }: Dataset): number {
  return "shots" in subsample ? subsample.shots : (subsample.fraction * train.length) / classNames.length;
}

/** Loads and checks all that a run needs, before anything is written. */
export async function setUp(container: DependencyContainer, flags: FewShotFlags, remarks: Remarks): Promise<PreparedFewShots> {
  const backend = await activeBackend(container, flags.backend);
  // Given to whatever objective: one that has no such option refuses it.
  const smoothing = flags.labelSmoothing === 0 ? {} : { labelSmoothing: flags.labelSmoothing };
  const factory = await findPlugin(container, "objective", flags.objective);
  const objectiveOptions = checkedOptions(container, "objective", flags.objective, { ...smoothing, ...flags.objectiveOptions }, flags.preset);
  const adapter = await chosenAdapter(container, flags);
  refuseIdleBudget(flags);
  remarkIdleFlags(flags, remarks.add);
  if (adapter?.mode === "joint") refuseOtherObjective(flags);
  const composition = await chosenComposition(container, flags);
  const { fineTuning, mode } = sidesOf(flags.finetuningMode);
  const model = await loadModel(flags, { includeLeftovers: includesLeftovers(flags.preset), fineTuning });
  const dataset = await loadTarget(flags);
  const vectors = await listVectors(model, flags.taskVectors, dataset.name);
  checkBudget(flags, composition.id, vectors.length);
  const loaded = flags.budget === undefined ? await loadVectors(model, flags.taskVectors, dataset.name) : [];
  const head = await loadHead(model, dataset, { backend, remark: remarks.add, ...threadsOf(flags) });
  const recipe = fewShotRecipe({
    preset: flags.preset,
    dataset: dataset.name,
    family: model.spec.family,
    joint: adapter?.mode === "joint",
    shots: imagesPerClass(flags.subsample, dataset),
  });
  return {
    vectors,
    mode,
    headHash: await headHash(head),
    composition,
    label: flags.compose ? composition.label : "zero-shot",
    learning: learningOf(flags, recipe, remarks.add),
    setup: {
      backend,
      model,
      dataset,
      head,
      objective: { factory, options: objectiveOptions },
      adapter,
      compose: flags.compose,
      ...threadsOf(flags),
      mode,
      vectors: loaded.map(({ vector }) => vector),
    },
  };
}

/** What the result depends on beside seed, weights and splits, as `run.json` records it. */
function recordedOptions({ setup, composition, vectors, headHash: head, learning }: PreparedFewShots, flags: FewShotFlags): Record<string, Json> {
  return {
    model: setup.model.folder.name,
    target: setup.dataset.name,
    subsample: subsampleText(flags.subsample),
    composition: composition.id,
    compositionOptions: asJson(composition.options ?? {}),
    compose: setup.compose,
    taskVectors: vectors.map(({ name }) => name),
    budget: flags.budget ?? null,
    select: flags.budget === undefined ? null : (flags.select ?? DEFAULT_RULE),
    finetuningMode: flags.finetuningMode,
    head,
    objective: flags.objective,
    objectiveOptions: asJson(setup.objective.options),
    adapter: setup.adapter?.id ?? null,
    adapterOptions: asJson(setup.adapter?.options ?? {}),
    adapterMode: setup.adapter?.mode ?? null,
    preset: flags.preset,
    ...learning,
    validationImages: flags.validationImages,
    // Sums are taken in another order on another number of threads.
    threads: flags.threads ?? null,
  };
}

/** The name of a result with an adapter. */
const withAdapter = (id: string): string => `test, with ${id}`;

const SELECTED = "epoch selected on validation";

function accuraciesOf({ last, selected, adapter: result }: FewShotResult, adapter: ChosenAdapter | null): Record<string, number> {
  const share = ({ accuracy }: Accuracy): number => accuracy;
  const selectedWith = adapter?.mode === "joint" ? withAdapter(adapter.id) : "test";
  return {
    ...(last === null ? {} : { test: share(last) }),
    ...(result === null ? {} : { [withAdapter(adapter!.id)]: share(result.accuracy) }),
    ...(selected === null ? {} : { [`${selectedWith}, ${SELECTED}`]: share(selected) }),
  };
}

function documentOf(target: string, result: FewShotResult, adapter: ChosenAdapter | null): Record<string, number> {
  return compositionDocument(target, {
    zeroShotValidation: result.zeroShotValidation?.accuracy ?? null,
    bestValidation: result.learned?.best?.record.metrics["accuracy"] ?? null,
    test: result.last?.accuracy ?? null,
    ...(result.adapter === null ? {} : { adapters: { [adapter!.id]: result.adapter.accuracy.accuracy } }),
  });
}

/** The composition and the adapter, as far as they were learned. */
function savedFiles(
  { setup, vectors, mode, composition: choice, headHash: head }: PreparedFewShots,
  composition: Composition,
  { learned, adapter: result }: FewShotResult,
  spent: SpentBudget | null,
  seed: number,
): Pick<RunResult, "composition" | "adapter"> {
  const { model, adapter } = setup;
  const base = { name: model.folder.name, sha256: model.baseHash };
  const sources = spent?.sources ?? vectors;
  const coefficients = (values: NamedArrays): NamedArrays => spent?.coefficients(values) ?? values;
  const about = { mode, seed, ...savedChoice(choice, seed) };
  return {
    ...(learned === null ? {} : { composition: compositionArtefact(model, sources, composition, coefficients(learned.last), about) }),
    ...(result === null ? {} : { adapter: { adapter: adapter!.id, state: result.fitted.state(), base, head } }),
  };
}

/** Chooses the task vectors of one seed; null where there is no budget and all are combined. */
async function spend(
  { setup, vectors, learning }: PreparedFewShots,
  { budget, select, dataLocation }: FewShotFlags,
  split: FewShotSplit,
  seed: number,
  signal: AbortSignal,
): Promise<SpentBudget | null> {
  if (budget === undefined) return null;
  const where = dataLocation === undefined ? {} : { dataLocation };
  return spendBudget({ budget, select }, fewShotGoal(setup, split, signal), { ...setup, listed: vectors, seed, signal, ...memoryOptions(learning), ...where });
}

/** Short classes that are named on the terminal; `run.json` names all. */
const NAMED_SHORT = 5;

/** Which classes have fewer images than shots, the first `limit` of them by name. */
function shortText({ short }: FewShotSplit, classNames: readonly string[], limit = Infinity): string {
  const named = short.slice(0, limit).map(({ label, count }) => `"${classNames[label]!}" ${count}`);
  const others = short.length - named.length;
  const more = others === 0 ? "" : `, and ${others} more in run.json`;
  return `classes with fewer images than shots, with what they have: ${named.join(", ")}${more}`;
}

/** One seed in one folder; a finished folder is read back rather than run again. */
export async function runOne(
  prepared: PreparedFewShots,
  flags: FewShotFlags,
  runSeed: number,
  path: string,
  remarks: RunRemarks,
  terminal: Terminal,
): Promise<Outcome> {
  const { setup, vectors, learning, composition: choice } = prepared;
  const { model, dataset, adapter } = setup;
  const composition = choice.create(runSeed);
  const { subsample, allowShort, validationImages } = flags;
  const recipe: FewShotRecipe = { subsample, allowShort, validationImages, learning };
  const split = fewShotSplit(dataset, recipe, runSeed);
  const { train, validation } = splitTrainValidation(dataset.train.length);
  const draw = { seed: runSeed, subsample: subsampleText(subsample), indices: split.shots };
  const splits: DatasetSplit[] = [
    { name: dataset.name, size: dataset.train.length, seed: 0, train, validation, shots: [draw] },
  ];
  const plan = {
    command: "few-shots",
    path,
    flag: "--run",
    label: `seed ${runSeed}`,
    options: recordedOptions(prepared, flags),
    seed: runSeed,
    hashes: { ...weightHashes(model, vectors), splits: await hashSplits(splits) },
    backend: setup.backend,
    reference: { save: flags.save, model: model.folder.name, file: compositionFile(flags.finetuningMode) },
    flags,
  };
  const finished = await recordedRun(plan, remarks, terminal, async (hooks) => {
    if (setup.compose && split.validation.length === 0) {
      remarks.add("no validation images: the last epoch's coefficients are kept, and none is selected");
    }
    if (split.short.length > 0) remarks.add(shortText(split, dataset.classNames, NAMED_SHORT));
    const spent = await spend(prepared, flags, split, runSeed, hooks.signal);
    const own = spent === null ? setup : { ...setup, vectors: spent.vectors };
    const result = await runFewShots(own, composition, recipe, split, runSeed, hooks);
    if (result.unmoved) remarks.add(UNMOVED);
    const final = accuraciesOf(result, adapter);
    const zeroShot = result.zeroShot.accuracy;
    const document = documentOf(dataset.name, result, adapter);
    return {
      zeroShot: { test: zeroShot },
      final: rawAndClamped(final, Object.fromEntries(Object.keys(final).map((name) => [name, zeroShot]))),
      history: result.learned?.history ?? [],
      splits,
      ...savedFiles(prepared, composition, result, spent, runSeed),
      reference: document,
      notes: [
        `labels used for learning: ${split.shots.length}`,
        `labels used for selecting an epoch (not for the headline): ${setup.compose ? split.validation.length : 0}`,
        ...(split.short.length > NAMED_SHORT ? [shortText(split, dataset.classNames)] : []),
        ...(spent === null ? [] : [spent.note]),
      ],
    };
  });
  return { seed: runSeed, path: finished.path, zeroShot: finished.zeroShot["test"]!, final: finished.final };
}
