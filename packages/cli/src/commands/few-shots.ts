import { join } from "node:path";
import { hashSplits, rawAndClamped, type CompositionArtefact, type DatasetSplit } from "@atlas-tv/checkpoints";
import { estimate, InputError, type Accuracy, type Estimate } from "@atlas-tv/core";
import { datasetByName, splitTrainValidation } from "@atlas-tv/datasets";
import type { Command } from "commander";
import type { DependencyContainer } from "tsyringe";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { compositionById } from "../compositions.js";
import { fewShotSplit, runFewShots, type FewShotRecipe, type FewShotResult, type FewShotSetup } from "../few-shot-experiment.js";
import { count, list, nonNegative, numberFlag, parseSubsample, positive, seed, type Subsample } from "../flags.js";
import { loadHead, loadModel, loadVectors, type LoadedVector } from "../loaded-model.js";
import { findPlugin } from "../plugin-finder.js";
import { backendFacts, peakMemoryBytes } from "../run-facts.js";
import { RunFolder } from "../run-folder.js";
import { addModelFlags, type ModelFlags } from "../shared-flags.js";
import { table, type Terminal } from "../terminal.js";
import { percent, terminalProgress } from "../terminal-progress.js";

interface FewShotFlags extends ModelFlags {
  readonly subsample: Subsample;
  readonly blockwiseCoef: boolean;
  readonly objective: string;
  readonly adapter?: string;
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

const parseSeeds = (text: string): number[] => list(text).map(seed("--seed"));

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

function subsampleText(subsample: Subsample): string {
  return "shots" in subsample ? String(subsample.shots) : subsample.fraction.toFixed(4).replace(/(\.\d+?)0+$/, "$1");
}

async function setUp(container: DependencyContainer, flags: FewShotFlags): Promise<{ setup: FewShotSetup; vectors: LoadedVector[] }> {
  const backend = await activeBackend(container, flags.backend);
  const objective = await findPlugin(container, "objective", flags.objective);
  const adapter = flags.adapter === undefined ? {} : { adapter: { factory: await findPlugin(container, "adapter", flags.adapter), options: {} } };
  const model = await loadModel(flags);
  const dataset = await datasetByName(flags.target, flags.dataLocation === undefined ? {} : { resolveFrom: [flags.dataLocation] });
  if (dataset.classNames.length < 2) throw new InputError({ where: `--target ${flags.target}`, got: "a single class", expected: "at least two classes" });
  const head = await loadHead(model, backend, dataset);
  const vectors = await loadVectors(model, flags.taskVectors, dataset.name);
  return {
    vectors,
    setup: {
      backend, model, dataset, head, objective, ...adapter,
      vectors: vectors.map(({ vector }) => vector),
      composition: compositionById(flags.blockwiseCoef ? "blockwise" : "isotropic", "--blockwise-coef"),
      objectiveOptions: flags.objective === "cross-entropy" ? { labelSmoothing: flags.labelSmoothing } : {},
    },
  };
}

function artefact({ setup, vectors }: { setup: FewShotSetup; vectors: LoadedVector[] }, result: FewShotResult, runSeed: number): CompositionArtefact {
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

/** One seed in one folder; a finished folder is read back rather than run again. */
async function runOne(prepared: { setup: FewShotSetup; vectors: LoadedVector[] }, flags: FewShotFlags, runSeed: number, path: string, terminal: Terminal): Promise<Outcome> {
  const { setup, vectors } = prepared;
  const { model, dataset } = setup;
  const recipe = recipeOf(flags);
  const split = fewShotSplit(dataset, recipe, runSeed);
  const { train, validation } = splitTrainValidation(dataset.train.length);
  const splits: DatasetSplit[] = [{
    name: dataset.name, size: dataset.train.length, seed: 0, train, validation,
    shots: [{ seed: runSeed, subsample: subsampleText(flags.subsample), indices: split.shots }],
  }];
  const hashes = {
    base: model.baseHash,
    taskVectors: Object.fromEntries(vectors.map(({ vector, hash }) => [vector.name, hash])),
    splits: await hashSplits(splits),
  };
  const options = {
    model: model.folder.name, target: dataset.name, subsample: subsampleText(flags.subsample), composition: setup.composition.id,
    taskVectors: vectors.map(({ vector }) => vector.name), objective: flags.objective, adapter: flags.adapter ?? null,
    lr: flags.lr, wd: flags.wd, epochs: flags.epochs, batchSize: flags.batchSize, accumulate: flags.accumulate, microBatch: flags.microBatch ?? null,
    lpReg: flags.lpReg ?? null, labelSmoothing: flags.labelSmoothing, validationImages: flags.validationImages,
  };
  const folder = await RunFolder.open(path, { ...options, seed: runSeed, hashes, backend: setup.backend.id }, flags.resume);
  if (folder.isFinished) {
    terminal.note(`${path}: finished already\n`);
    return { seed: runSeed, path: folder.path, ...(await folder.finalAccuracies()) };
  }
  const resume = await folder.savedState();
  const started = performance.now();
  const result = await runFewShots(setup, recipe, split, runSeed, {
    onEvent: terminalProgress(`seed ${runSeed}`, flags.quiet || flags.json),
    signal: terminal.signal,
    save: (state) => folder.saveState(state),
    ...(resume === null ? {} : { resume }),
  });
  const share = ({ accuracy }: Accuracy): number => accuracy;
  const final = {
    test: share(result.last),
    ...(result.selected === null ? {} : { "test, epoch selected on validation": share(result.selected) }),
    ...(result.adapter === null ? {} : { [`test, with ${flags.adapter}`]: share(result.adapter.accuracy) }),
  };
  const zeroShot = share(result.zeroShot);
  await folder.finish({
    splits,
    composition: artefact(prepared, result, runSeed),
    ...(result.adapter === null ? {} : { adapter: result.adapter.fitted.state() }),
    run: {
      command: "few-shots", options, seed: runSeed, hashes, ...(await backendFacts(setup.backend)),
      zeroShot: { test: zeroShot },
      epochs: result.learned.history.map(({ metrics, ...record }) => ({ ...record, metrics: rawAndClamped(metrics, {}) })),
      final: rawAndClamped(final, Object.fromEntries(Object.keys(final).map((name) => [name, zeroShot]))),
      seconds: (performance.now() - started) / 1000,
      peakMemoryBytes: peakMemoryBytes(),
      notes: [
        `labels used for learning: ${split.shots.length}`,
        `labels used for selecting an epoch (not for the headline): ${split.validation.length}`,
        ...(resume === null ? [] : [`continued after epoch ${resume.epoch}`]),
      ],
    },
  });
  return { seed: runSeed, path: folder.path, zeroShot, final };
}

interface Outcome {
  readonly seed: number;
  readonly path: string;
  readonly zeroShot: number;
  readonly final: Readonly<Record<string, number>>;
}

function summary(outcomes: readonly Outcome[]): Record<string, Estimate> {
  const names = Object.keys(outcomes[0]!.final);
  return Object.fromEntries(names.map((name) => [name, estimate(outcomes.map(({ final }) => final[name]!))]));
}

function print(flags: FewShotFlags, setup: FewShotSetup, outcomes: readonly Outcome[], terminal: Terminal): void {
  const zeroShot = outcomes[0]!.zeroShot;
  const final = summary(outcomes);
  if (flags.json) {
    terminal.out(JSON.stringify({ target: setup.dataset.name, subsample: subsampleText(flags.subsample), composition: setup.composition.id, zeroShot, final, runs: outcomes }, null, 2));
    return;
  }
  const error = ({ error: value, count: runs }: Estimate): string => (runs > 1 ? `± ${(100 * value).toFixed(1)}` : "");
  terminal.out(table([
    [`${setup.dataset.name}, ${setup.dataset.test.length} test images`, "accuracy", "", "clamped"],
    ["zero-shot", percent(zeroShot), "", ""],
    ...Object.entries(final).map(([name, value]) => [`${setup.composition.id}: ${name}`, percent(value.mean), error(value), percent(Math.max(value.mean, zeroShot))]),
  ]));
  terminal.out(`\n${outcomes.map(({ path }) => path).join("\n")}`);
}

async function fewShots(flags: FewShotFlags, terminal: Terminal): Promise<void> {
  const prepared = await setUp(await compositionRoot(flags.plugin), flags);
  const { setup } = prepared;
  const run = flags.run ?? join("runs", "few-shots", `${setup.dataset.name}-${subsampleText(flags.subsample)}-${setup.composition.id}${flags.adapter === undefined ? "" : `-${flags.adapter}`}`);
  const outcomes: Outcome[] = [];
  for (const value of flags.seed) {
    outcomes.push(await runOne(prepared, flags, value, flags.seed.length === 1 ? run : join(run, `seed-${value}`), terminal));
  }
  print(flags, setup, outcomes, terminal);
}

/** `atlas few-shots`: learn a composition from k labelled images a class, or from a fraction of the data. */
export function addFewShots(program: Command, terminal: Terminal): void {
  const command = program.command("few-shots").description("learn coefficients from a few labelled images of the target");
  addModelFlags(command)
    .option("--subsample <k or fraction>", "images a class (4), or a share of the data (0.25)", parseSubsample, { shots: 16 })
    .option("--no-blockwise-coef", "one coefficient a task vector instead of one a task vector and block")
    .option("--objective <name>", "what is minimised", "cross-entropy")
    .option("--adapter <name>", "a classifier to fit on the adapted features")
    .option("--lr <rate>", "peak learning rate", positive("--lr"), 0.1)
    .option("--wd <decay>", "weight decay", nonNegative("--wd"), 0.1)
    .option("--epochs <n>", "passes over the data", count("--epochs"), 10)
    .option("--batch-size <n>", "images a batch", count("--batch-size"), 64)
    .option("--accumulate <n>", "batches a step", count("--accumulate"), 1)
    .option("--micro-batch <n>", "images computed at once", count("--micro-batch"))
    .option("--lp-reg <p>", "regularise with the L1 or L2 norm", numberFlag("--lp-reg", (value) => value === 1 || value === 2, "1 or 2"))
    .option("--label-smoothing <share>", "of the cross-entropy", numberFlag("--label-smoothing", (value) => value >= 0 && value < 1, "a number from 0 to below 1"), 0)
    .option("--validation-images <n>", "looked at after each epoch, for the selected epoch that is reported apart", numberFlag("--validation-images", (value) => Number.isInteger(value) && value >= 0, "a whole number from 0"), 500)
    .option("--allow-short", "take all images of a class that has fewer than k", false)
    .option("--seed <n,…>", "one or several; several give mean and standard error", parseSeeds, [1])
    .option("--run <dir>", "folder for results (default: runs/few-shots/…)")
    .option("--resume", "go on with the unfinished run in that folder", false)
    .action((flags: FewShotFlags) => fewShots(flags, terminal));
}
