import { rawAndClamped } from "@atlas-tv/checkpoints";
import {
  InputError,
  Random,
  withoutLabels,
  type Accuracy,
  type Backend,
  type ClassificationHead,
  type CompileOptions,
  type Dataset,
  type NamedArrays,
  type TaskVector,
  type UnlabelledSource,
  type UnsupervisedObjectiveFactory,
} from "@atlas-tv/core";
import { splitTrainValidation } from "@atlas-tv/datasets";
import type { DependencyContainer } from "tsyringe";
import { adapt, adaptationGoal, type Adaptation } from "./adaptation.js";
import { BUDGET_IMAGES, checkBudget, DEFAULT_RULE, spendBudget, type BudgetFlags, type SpentBudget } from "./budget.js";
import { activeBackend } from "./composition-root.js";
import { chosenComposition, type CompositionChoice, type CompositionFlags } from "./compositions.js";
import { EvaluationSet, pick, withComposed } from "./evaluation-set.js";
import { sidesOf, type FinetuningModeFlags } from "./finetuning-mode.js";
import { learningOf, memoryOptions, type Learning, type LearningFlags } from "./learning-flags.js";
import { headHash, listVectors, loadHead, loadModel, loadVectors, type ListedVector, type LoadedModel } from "./loaded-model.js";
import type { Outcome } from "./outcomes.js";
import { checkedOptions, findPlugin } from "./plugin-finder.js";
import { includesLeftovers, ufmImages, ufmRecipe } from "./recipes.js";
import { asJson, recordedRun, type Json, type RunHooks, type RunResult } from "./recorded-run.js";
import { compositionDocument, compositionFile } from "./reference-layouts.js";
import type { RunFlags } from "./run-flags.js";
import { compositionArtefact, savedChoice, weightHashes } from "./saved-composition.js";
import { threadsOf, type TargetFlags, type VectorFlags } from "./shared-flags.js";
import { loadTarget } from "./target-data.js";
import type { Remarks, RunRemarks, Terminal } from "./terminal.js";

/** The flags of `atlas ufm`. */
export interface UfmFlags extends TargetFlags, VectorFlags, LearningFlags, CompositionFlags, BudgetFlags, FinetuningModeFlags, RunFlags {
  readonly objective: string;
  readonly objectiveOptions?: Readonly<Record<string, unknown>>;
  readonly ufmExponent?: number;
  readonly ufmConfidence?: "raw" | "sharpened";
  readonly images?: number;
  readonly validationImages: number;
  readonly save?: string;
}

export interface PreparedUfm {
  readonly backend: Backend;
  readonly model: LoadedModel;
  readonly dataset: Dataset;
  readonly head: ClassificationHead;
  readonly headHash: string;
  /** What may be combined. */
  readonly vectors: readonly ListedVector[];
  /** Those, loaded; none where a budget says which are. */
  readonly loaded: readonly TaskVector[];
  readonly mode: NonNullable<CompileOptions["mode"]>;
  readonly composition: CompositionChoice;
  readonly objective: { readonly factory: UnsupervisedObjectiveFactory; readonly options: Readonly<Record<string, unknown>> };
  readonly learning: Learning;
  /** How many of the test images are adapted to. */
  readonly images: number;
}

/** Options of the objective; the two flags of their own are the objective `ufm`'s. */
function objectiveOptions({ objective, objectiveOptions: given, ufmExponent, ufmConfidence }: UfmFlags): Record<string, unknown> {
  const own = {
    ...(ufmExponent === undefined ? {} : { exponent: ufmExponent }),
    ...(ufmConfidence === undefined ? {} : { confidence: ufmConfidence }),
  };
  if (objective !== "ufm" && Object.keys(own).length > 0) {
    throw new InputError({
      where: `--objective ${objective}`,
      got: "--ufm-exponent or --ufm-confidence beside it",
      expected: "them with the objective ufm alone",
    });
  }
  const twice = Object.keys(own).find((name) => given !== undefined && Object.hasOwn(given, name));
  if (twice !== undefined) {
    throw new InputError({
      where: `--ufm-${twice}`,
      got: `"${twice}" in --objective-options beside it`,
      expected: "one of the two: they set the same option",
    });
  }
  return { ...given, ...own };
}

/** Loads and checks all that a run needs, before anything is written. */
export async function setUpUfm(container: DependencyContainer, flags: UfmFlags, remarks: Remarks): Promise<PreparedUfm> {
  const backend = await activeBackend(container, flags.backend);
  const factory = await findPlugin(container, "unsupervised", flags.objective);
  const options = checkedOptions(container, "unsupervised", flags.objective, objectiveOptions(flags), flags.preset);
  const composition = await chosenComposition(container, flags);
  const { fineTuning, mode } = sidesOf(flags.finetuningMode);
  const model = await loadModel(flags, { includeLeftovers: includesLeftovers(flags.preset), fineTuning });
  const dataset = await loadTarget(flags);
  const vectors = await listVectors(model, flags.taskVectors, dataset.name);
  checkBudget(flags, composition.id, vectors.length);
  const loaded = flags.budget === undefined ? await loadVectors(model, flags.taskVectors, dataset.name) : [];
  const head = await loadHead(model, dataset, { backend, remark: remarks.add, ...threadsOf(flags) });
  const { family } = model.spec;
  return {
    backend, model, mode, dataset, head, vectors, composition,
    loaded: loaded.map(({ vector }) => vector),
    images: Math.min(flags.images ?? ufmImages(flags.preset), dataset.test.length),
    headHash: await headHash(head),
    objective: { factory, options },
    learning: learningOf(flags, ufmRecipe({ preset: flags.preset, dataset: dataset.name, family }), remarks.add),
  };
}

/** What the result depends on beside seed and weights, as `run.json` records it. */
function recordedOptions(prepared: PreparedUfm, flags: UfmFlags): Record<string, Json> {
  const { model, dataset, vectors, composition, objective, learning } = prepared;
  return {
    model: model.folder.name,
    target: dataset.name,
    images: prepared.images,
    composition: composition.id,
    compositionOptions: asJson(composition.options ?? {}),
    taskVectors: vectors.map(({ name }) => name),
    budget: flags.budget ?? null,
    select: flags.budget === undefined ? null : (flags.select ?? DEFAULT_RULE),
    finetuningMode: flags.finetuningMode,
    head: prepared.headHash,
    objective: objective.factory.id,
    objectiveOptions: asJson(objective.options),
    preset: flags.preset,
    ...learning,
    validationImages: flags.validationImages,
    threads: flags.threads ?? null,
  };
}

/** A random part of the images, or all of them. */
function someOf(source: UnlabelledSource, count: number, random: Random): UnlabelledSource {
  if (count >= source.length) return source;
  const chosen = random.permutation(source.length).subarray(0, count);
  const { encoded } = source;
  return {
    name: source.name,
    length: count,
    image: (index) => source.image(chosen[index]!),
    ...(encoded === undefined ? {} : { encoded: (index: number) => encoded.call(source, chosen[index]!) }),
  };
}

/** All of an adaptation but the encoder, which a budget comes before. */
function adaptationOf(prepared: PreparedUfm, seed: number, hooks: RunHooks): Omit<Adaptation, "encoder" | "remark"> {
  const { model, head, dataset, objective, learning, images } = prepared;
  const random = new Random(seed);
  return {
    model, head, learning, hooks,
    images: someOf(withoutLabels(dataset.test), images, random.fork("images")),
    ...(dataset.augmentation === undefined ? {} : { augmentation: dataset.augmentation }),
    objective: objective.factory.create({ heads: [head], options: objective.options }),
    random: random.fork("adaptation"),
  };
}

/** Chooses the task vectors of one seed by the images that it adapts to; null where there is no budget and all are combined. */
async function spend(
  prepared: PreparedUfm,
  flags: UfmFlags,
  adaptation: Omit<Adaptation, "encoder" | "remark">,
  seed: number,
): Promise<SpentBudget | null> {
  const { budget, select, dataLocation } = flags;
  if (budget === undefined) return null;
  const { backend, model, vectors, learning } = prepared;
  const { signal } = adaptation.hooks;
  const images = someOf(adaptation.images, BUDGET_IMAGES, adaptation.random.fork("budget images"));
  const where = { ...threadsOf(flags), ...(dataLocation === undefined ? {} : { dataLocation }) };
  return spendBudget({ budget, select }, adaptationGoal({ ...adaptation, images }), { backend, model, listed: vectors, seed, signal, ...memoryOptions(learning), ...where });
}

/** One adaptation, and what it is measured with: labels come in here, after `adapt`. */
async function adaptAndMeasure(
  { model, head, dataset }: PreparedUfm,
  flags: UfmFlags,
  adaptation: Adaptation,
) {
  const { encoder, hooks, remark } = adaptation;
  const { validation } = splitTrainValidation(dataset.train.length);
  const watchedImages = { source: dataset.train, indices: validation.subarray(0, flags.validationImages) };
  const watched = new EvaluationSet(model, head, watchedImages, hooks.signal);
  const test = new EvaluationSet(model, head, { source: dataset.test }, hooks.signal);
  const measure = (values: NamedArrays, set = test): Promise<Accuracy> =>
    withComposed(encoder, pick(values, encoder), (composed) => set.measure(composed));
  const zeroShot = await measure(encoder.initialCoefficients());
  const hasValidation = watchedImages.indices.length > 0;
  if (!hasValidation) remark("no validation images: the last epoch's coefficients are kept, and none is selected");
  const learned = await adapt(
    adaptation,
    hasValidation ? async (composed) => ({ accuracy: (await watched.measure(composed)).accuracy }) : undefined,
  );
  return {
    learned,
    zeroShot,
    zeroShotValidation: hasValidation ? await measure(encoder.initialCoefficients(), watched) : null,
    last: await measure(learned.last),
    selected: learned.best === null ? null : await measure(learned.best.values),
    validationLabels: watchedImages.indices.length,
  };
}

/** One seed in one folder; a finished folder is read back rather than run again. */
export async function runUfm(
  prepared: PreparedUfm,
  flags: UfmFlags,
  seed: number,
  path: string,
  remarks: RunRemarks,
  terminal: Terminal,
): Promise<Outcome> {
  const { backend, model, mode, dataset, vectors, composition: choice } = prepared;
  const plan = {
    command: "ufm",
    path,
    flag: "--run",
    label: `seed ${seed}`,
    options: recordedOptions(prepared, flags),
    seed,
    hashes: { ...weightHashes(model, vectors), splits: null },
    backend,
    reference: { save: flags.save, model: model.folder.name, file: compositionFile(flags.finetuningMode) },
    flags,
  };
  const finished = await recordedRun(plan, remarks, terminal, async (hooks): Promise<RunResult> => {
    const composition = choice.create(seed);
    const adaptation = adaptationOf(prepared, seed, hooks);
    const spent = await spend(prepared, flags, adaptation, seed);
    const encoder = await backend.compile(model.spec, model.base, spent?.vectors ?? prepared.loaded, composition, {
      mode,
      ...threadsOf(flags),
      ...memoryOptions(prepared.learning),
    });
    try {
      const measured = await adaptAndMeasure(prepared, flags, { ...adaptation, encoder, remark: remarks.add });
      const { learned, zeroShot, last, selected } = measured;
      const final = {
        test: last.accuracy,
        ...(selected === null ? {} : { "test, epoch selected on validation": selected.accuracy }),
      };
      const about = { mode, seed, ...savedChoice(choice, seed) };
      const document = compositionDocument(dataset.name, {
        zeroShotValidation: measured.zeroShotValidation?.accuracy ?? null,
        bestValidation: learned.best?.record.metrics["accuracy"] ?? null,
        test: last.accuracy,
      });
      return {
        zeroShot: { test: zeroShot.accuracy },
        final: rawAndClamped(final, Object.fromEntries(Object.keys(final).map((name) => [name, zeroShot.accuracy]))),
        history: learned.history,
        composition: compositionArtefact(model, spent?.sources ?? vectors, composition, spent?.coefficients(learned.last) ?? learned.last, about),
        reference: document,
        notes: [
          `images adapted to: ${prepared.images} of ${dataset.test.length} test images`,
          "labels used for learning: 0",
          `labels used for selecting an epoch (not for the headline): ${measured.validationLabels}`,
          ...(spent === null ? [] : [spent.note]),
        ],
      };
    } finally {
      encoder.dispose();
    }
  });
  return { seed, path: finished.path, zeroShot: finished.zeroShot["test"]!, final: finished.final };
}
