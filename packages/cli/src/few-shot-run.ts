import { hashSplits, rawAndClamped, type DatasetSplit } from "@atlas-tv/checkpoints";
import { InputError, type Accuracy } from "@atlas-tv/core";
import { splitTrainValidation } from "@atlas-tv/datasets";
import type { DependencyContainer } from "tsyringe";
import { activeBackend } from "./composition-root.js";
import { compositionById } from "./compositions.js";
import { fewShotSplit, runFewShots, type FewShotRecipe, type FewShotResult, type FewShotSetup } from "./few-shot-experiment.js";
import type { Subsample } from "./flags.js";
import { learningOf, type Learning, type LearningFlags } from "./learning-flags.js";
import { headHash, loadHead, loadModel, loadVectors, type LoadedVector } from "./loaded-model.js";
import { checkedOptions, findPlugin } from "./plugin-finder.js";
import { fewShotRecipe, includesLeftovers } from "./recipes.js";
import { asJson, recordedRun, type Json } from "./recorded-run.js";
import { compositionArtefact, weightHashes } from "./saved-composition.js";
import { threadsOf, type TargetFlags, type VectorFlags } from "./shared-flags.js";
import { loadTarget } from "./target-data.js";
import type { Remarks, Terminal } from "./terminal.js";

/** The flags of `atlas few-shots`. */
export interface FewShotFlags extends TargetFlags, VectorFlags, LearningFlags {
  readonly subsample: Subsample;
  readonly blockwiseCoef: boolean;
  readonly objective: string;
  readonly objectiveOptions?: Readonly<Record<string, unknown>>;
  readonly adapter?: string;
  readonly adapterOptions?: Readonly<Record<string, unknown>>;
  readonly labelSmoothing: number;
  readonly validationImages: number;
  readonly allowShort: boolean;
  readonly seed: readonly number[];
  readonly run?: string;
  readonly resume: boolean;
}

export interface PreparedFewShots {
  readonly setup: FewShotSetup;
  readonly vectors: readonly LoadedVector[];
  readonly headHash: string;
  readonly learning: Learning;
}

/** What one seed came to: accuracies in [0, 1]. */
export interface Outcome {
  readonly seed: number;
  readonly path: string;
  readonly zeroShot: number;
  readonly final: Readonly<Record<string, number>>;
}

export function subsampleText(subsample: Subsample): string {
  if ("shots" in subsample) return String(subsample.shots);
  return Number.isInteger(subsample.fraction) ? subsample.fraction.toFixed(1) : String(subsample.fraction);
}

async function adapterOf(container: DependencyContainer, flags: FewShotFlags): Promise<Pick<FewShotSetup, "adapter">> {
  if (flags.adapter === undefined) {
    if (flags.adapterOptions === undefined) return {};
    throw new InputError({ where: "--adapter-options", got: "options without an adapter", expected: "--adapter beside them" });
  }
  const factory = await findPlugin(container, "adapter", flags.adapter);
  return { adapter: { factory, options: checkedOptions(container, "adapter", flags.adapter, flags.adapterOptions ?? {}) } };
}

/** Loads and checks all that a run needs, before anything is written. */
export async function setUp(container: DependencyContainer, flags: FewShotFlags, remarks: Remarks): Promise<PreparedFewShots> {
  const backend = await activeBackend(container, flags.backend);
  const objective = await findPlugin(container, "objective", flags.objective);
  // Given to whatever objective: one that has no such option refuses it.
  const smoothing = flags.labelSmoothing === 0 ? {} : { labelSmoothing: flags.labelSmoothing };
  const objectiveOptions = checkedOptions(container, "objective", flags.objective, { ...smoothing, ...flags.objectiveOptions });
  const adapter = await adapterOf(container, flags);
  const model = await loadModel(flags, { includeLeftovers: includesLeftovers(flags.preset) });
  const dataset = await loadTarget(flags);
  const vectors = await loadVectors(model, flags.taskVectors, dataset.name);
  const head = await loadHead(model, dataset, { backend, remark: remarks.add, ...threadsOf(flags) });
  const { family } = model.spec;
  return {
    vectors,
    headHash: await headHash(head),
    learning: learningOf(flags, fewShotRecipe({ preset: flags.preset, dataset: dataset.name, family })),
    setup: {
      backend,
      model,
      dataset,
      head,
      objective,
      objectiveOptions,
      ...adapter,
      ...threadsOf(flags),
      vectors: vectors.map(({ vector }) => vector),
      composition: compositionById(flags.blockwiseCoef ? "blockwise" : "isotropic", "--blockwise-coef"),
    },
  };
}

/** What the result depends on beside seed, weights and splits, as `run.json` records it. */
function recordedOptions({ setup, vectors, headHash: head, learning }: PreparedFewShots, flags: FewShotFlags): Record<string, Json> {
  return {
    model: setup.model.folder.name,
    target: setup.dataset.name,
    subsample: subsampleText(flags.subsample),
    composition: setup.composition.id,
    taskVectors: vectors.map(({ vector }) => vector.name),
    head,
    objective: flags.objective,
    objectiveOptions: asJson(setup.objectiveOptions),
    adapter: flags.adapter ?? null,
    adapterOptions: asJson(setup.adapter?.options ?? {}),
    preset: flags.preset,
    ...learning,
    validationImages: flags.validationImages,
    // Sums are taken in another order on another number of threads.
    threads: flags.threads ?? null,
  };
}

function accuraciesOf(result: FewShotResult, adapter: string | undefined): Record<string, number> {
  const share = ({ accuracy }: Accuracy): number => accuracy;
  return {
    test: share(result.last),
    ...(result.selected === null ? {} : { "test, epoch selected on validation": share(result.selected) }),
    ...(result.adapter === null ? {} : { [`test, with ${adapter}`]: share(result.adapter.accuracy) }),
  };
}

/** One seed in one folder; a finished folder is read back rather than run again. */
export async function runOne(
  prepared: PreparedFewShots,
  flags: FewShotFlags,
  runSeed: number,
  path: string,
  remarks: Remarks,
  terminal: Terminal,
): Promise<Outcome> {
  const { setup, vectors, learning } = prepared;
  const { model, dataset, composition } = setup;
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
    flags,
  };
  const finished = await recordedRun(plan, remarks, terminal, async (hooks) => {
    if (split.validation.length === 0) {
      remarks.add("no validation images: the last epoch's coefficients are kept, and none is selected");
    }
    const result = await runFewShots(setup, recipe, split, runSeed, hooks);
    const final = accuraciesOf(result, flags.adapter);
    const zeroShot = result.zeroShot.accuracy;
    return {
      zeroShot: { test: zeroShot },
      final: rawAndClamped(final, Object.fromEntries(Object.keys(final).map((name) => [name, zeroShot]))),
      history: result.learned.history,
      splits,
      composition: compositionArtefact(model, vectors, composition, result.learned.last, { mode: "standard", seed: runSeed }),
      ...(result.adapter === null ? {} : { adapter: result.adapter.fitted.state() }),
      notes: [
        `labels used for learning: ${split.shots.length}`,
        `labels used for selecting an epoch (not for the headline): ${split.validation.length}`,
      ],
    };
  });
  return { seed: runSeed, path: finished.path, zeroShot: finished.zeroShot["test"]!, final: finished.final };
}
