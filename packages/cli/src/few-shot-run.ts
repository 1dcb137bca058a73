import { hashSplits, rawAndClamped, type CompositionArtefact, type DatasetSplit } from "@atlas-tv/checkpoints";
import { InputError, type Accuracy } from "@atlas-tv/core";
import { splitTrainValidation } from "@atlas-tv/datasets";
import type { DependencyContainer } from "tsyringe";
import { activeBackend } from "./composition-root.js";
import { compositionById } from "./compositions.js";
import { fewShotSplit, runFewShots, type FewShotRecipe, type FewShotResult, type FewShotSetup } from "./few-shot-experiment.js";
import type { Subsample } from "./flags.js";
import { headHash, loadHead, loadModel, loadVectors, type LoadedVector } from "./loaded-model.js";
import { checkedOptions, findPlugin } from "./plugin-finder.js";
import { backendFacts, peakMemoryBytes } from "./run-facts.js";
import { RunFolder } from "./run-folder.js";
import { threadsOf, type TargetFlags, type VectorFlags } from "./shared-flags.js";
import { loadTarget } from "./target-data.js";
import type { Remarks, Terminal } from "./terminal.js";
import { terminalProgress } from "./terminal-progress.js";

/** The flags of `atlas few-shots`. */
export interface FewShotFlags extends TargetFlags, VectorFlags {
  readonly subsample: Subsample;
  readonly blockwiseCoef: boolean;
  readonly objective: string;
  readonly objectiveOptions?: Readonly<Record<string, unknown>>;
  readonly adapter?: string;
  readonly adapterOptions?: Readonly<Record<string, unknown>>;
  readonly lr: number;
  readonly wd: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly accumulate: number;
  readonly microBatch?: number;
  readonly lpReg?: 1 | 2;
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

function recipeOf(flags: FewShotFlags): FewShotRecipe {
  return {
    subsample: flags.subsample,
    allowShort: flags.allowShort,
    epochs: flags.epochs,
    batchSize: flags.batchSize,
    learningRate: flags.lr,
    weightDecay: flags.wd,
    accumulate: flags.accumulate,
    validationImages: flags.validationImages,
    ...(flags.microBatch === undefined ? {} : { microBatch: flags.microBatch }),
    ...(flags.lpReg === undefined ? {} : { regulariser: { order: flags.lpReg } }),
  };
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
  const model = await loadModel(flags);
  const dataset = await loadTarget(flags);
  const vectors = await loadVectors(model, flags.taskVectors, dataset.name);
  const head = await loadHead(model, dataset, { backend, remark: remarks.add, ...threadsOf(flags) });
  return {
    vectors,
    headHash: await headHash(head),
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

function artefact({ setup, vectors }: PreparedFewShots, result: FewShotResult, runSeed: number): CompositionArtefact {
  const { model, composition } = setup;
  const shapes = composition.shapes(model.spec.blocks, vectors.length);
  return {
    coefficients: Object.fromEntries(Object.keys(shapes).map((name) => [name, result.learned.last[name]!])),
    shapes,
    composition: composition.id,
    mode: "standard",
    blocks: model.spec.blocks.map(({ name }) => name),
    taskVectors: vectors.map(({ vector, hash }) => ({ name: vector.name, sha256: hash })),
    base: { name: model.folder.name, sha256: model.baseHash },
    model: JSON.parse(JSON.stringify(model.config)) as CompositionArtefact["model"],
    seed: runSeed,
  };
}

/** What the result depends on beside seed, weights and splits, as `run.json` records it. */
function recordedOptions(
  { setup, vectors, headHash: head }: PreparedFewShots,
  flags: FewShotFlags,
): Record<string, CompositionArtefact["model"]> {
  const plain = (options: Readonly<Record<string, unknown>>): CompositionArtefact["model"] =>
    JSON.parse(JSON.stringify(options)) as CompositionArtefact["model"];
  return {
    model: setup.model.folder.name,
    target: setup.dataset.name,
    subsample: subsampleText(flags.subsample),
    composition: setup.composition.id,
    taskVectors: vectors.map(({ vector }) => vector.name),
    head,
    objective: flags.objective,
    objectiveOptions: plain(setup.objectiveOptions),
    adapter: flags.adapter ?? null,
    adapterOptions: plain(setup.adapter?.options ?? {}),
    lr: flags.lr,
    wd: flags.wd,
    epochs: flags.epochs,
    batchSize: flags.batchSize,
    accumulate: flags.accumulate,
    microBatch: flags.microBatch ?? null,
    lpReg: flags.lpReg ?? null,
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
  const { setup, vectors } = prepared;
  const { model, dataset } = setup;
  const recipe = recipeOf(flags);
  const split = fewShotSplit(dataset, recipe, runSeed);
  const { train, validation } = splitTrainValidation(dataset.train.length);
  const splits: DatasetSplit[] = [
    {
      name: dataset.name,
      size: dataset.train.length,
      seed: 0,
      train,
      validation,
      shots: [{ seed: runSeed, subsample: subsampleText(flags.subsample), indices: split.shots }],
    },
  ];
  const hashes = {
    base: model.baseHash,
    taskVectors: Object.fromEntries(vectors.map(({ vector, hash }) => [vector.name, hash])),
    splits: await hashSplits(splits),
  };
  const options = recordedOptions(prepared, flags);
  const folder = await RunFolder.open(path, { ...options, seed: runSeed, hashes, backend: setup.backend.id }, flags.resume, {
    flag: "--run",
  });
  if (folder.isFinished) {
    const accuracies = await folder.finalAccuracies();
    folder.removeState();
    remarks.add(`${path} was finished already`);
    return { seed: runSeed, path: folder.path, ...accuracies };
  }
  const resume = await folder.savedState();
  if (flags.resume && resume === null) remarks.add(`${path} holds no unfinished run: this one starts from the beginning`);
  if (split.validation.length === 0) {
    remarks.add("no validation images: the last epoch's coefficients are kept, and none is selected");
  }
  const started = performance.now();
  const progress = terminalProgress(`seed ${runSeed}`, terminal, { quiet: flags.quiet || flags.json });
  let result: FewShotResult;
  try {
    result = await runFewShots(setup, recipe, split, runSeed, {
      onEvent: progress.onEvent,
      signal: terminal.signal,
      save: (state) => folder.saveState(state),
      ...(resume === null ? {} : { resume }),
    });
  } finally {
    progress.end();
  }
  const final = accuraciesOf(result, flags.adapter);
  const zeroShot = result.zeroShot.accuracy;
  await folder.finish({
    splits,
    composition: artefact(prepared, result, runSeed),
    ...(result.adapter === null ? {} : { adapter: result.adapter.fitted.state() }),
    run: {
      command: "few-shots",
      options,
      seed: runSeed,
      hashes,
      ...(await backendFacts(setup.backend)),
      zeroShot: { test: zeroShot },
      epochs: result.learned.history.map(({ metrics, ...record }) => ({ ...record, metrics: rawAndClamped(metrics, {}) })),
      final: rawAndClamped(final, Object.fromEntries(Object.keys(final).map((name) => [name, zeroShot]))),
      seconds: (performance.now() - started) / 1000,
      peakMemoryBytes: peakMemoryBytes(),
      notes: [
        `labels used for learning: ${split.shots.length}`,
        `labels used for selecting an epoch (not for the headline): ${split.validation.length}`,
        ...(resume === null ? [] : [`continued after epoch ${resume.epoch}`]),
        ...remarks.all,
      ],
    },
  });
  return { seed: runSeed, path: folder.path, zeroShot, final };
}
