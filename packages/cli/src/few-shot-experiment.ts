import {
  accuracyOf,
  learn,
  Random,
  trainingTransform,
  type Accuracy,
  type AdapterFactory,
  type Backend,
  type ClassificationHead,
  type Composition,
  type Dataset,
  type FittedAdapter,
  type Learned,
  type ObjectiveFactory,
  type TaskVector,
} from "@atlas-tv/core";
import {
  batchCount,
  fewShots,
  fraction,
  labelledBatches,
  oversample,
  splitTrainValidation,
} from "@atlas-tv/datasets";
import { EvaluationSet, pick, withComposed } from "./evaluation-set.js";
import type { Subsample } from "./flags.js";
import { learnerOptions, type Learning } from "./learning-flags.js";
import type { LoadedModel } from "./loaded-model.js";
import type { RunHooks } from "./recorded-run.js";

export interface FewShotRecipe {
  readonly subsample: Subsample;
  readonly allowShort: boolean;
  readonly learning: Learning;
  /** Validation images looked at after each epoch; 0 for none. */
  readonly validationImages: number;
}

export interface FewShotSetup {
  readonly backend: Backend;
  readonly threads?: number;
  readonly model: LoadedModel;
  readonly dataset: Dataset;
  readonly head: ClassificationHead;
  readonly vectors: readonly TaskVector[];
  readonly composition: Composition;
  readonly objective: ObjectiveFactory;
  readonly objectiveOptions: Readonly<Record<string, unknown>>;
  readonly adapter?: { readonly factory: AdapterFactory; readonly options: Readonly<Record<string, unknown>> };
}

/** Indices into the official training set. */
export interface FewShotSplit {
  readonly shots: Int32Array;
  readonly validation: Int32Array;
}

export interface FewShotResult {
  readonly learned: Learned;
  readonly zeroShot: Accuracy;
  /** After the last epoch: the headline. */
  readonly last: Accuracy;
  /** The epoch chosen on validation images, reported apart. */
  readonly selected: Accuracy | null;
  readonly adapter: { readonly accuracy: Accuracy; readonly fitted: FittedAdapter } | null;
}

/** Validation images by seed 0, and the training images that a seed draws from the rest (paper, section 4.3). */
export function fewShotSplit(dataset: Dataset, recipe: FewShotRecipe, seed: number): FewShotSplit {
  const { train, validation } = splitTrainValidation(dataset.train.length);
  const random = new Random(seed).fork("shots");
  const { subsample, allowShort } = recipe;
  const shots =
    "shots" in subsample
      ? fewShots(dataset.train.labels, train, subsample.shots, random, {
          classNames: dataset.classNames,
          allowShort,
          where: `--subsample ${subsample.shots} on ${dataset.name}`,
        })
      : fraction(train, subsample.fraction, random);
  return { shots, validation: validation.subarray(0, recipe.validationImages) };
}

/** Learns a composition from a few labelled images of the target and measures it on the whole test set. */
export async function runFewShots(
  setup: FewShotSetup,
  recipe: FewShotRecipe,
  split: FewShotSplit,
  seed: number,
  hooks: RunHooks,
): Promise<FewShotResult> {
  const { model, dataset, head, composition } = setup;
  const { spec, normalisation } = model;
  const { learning } = recipe;
  const augmentation = dataset.augmentation === undefined ? {} : { augmentation: dataset.augmentation };
  const indices = oversample(split.shots, learning.batchSize);
  const training = {
    source: dataset.train,
    indices,
    batchSize: learning.batchSize,
    transform: trainingTransform({ size: spec.imageSize, normalisation, ...augmentation }),
    random: new Random(seed).fork("training"),
  };
  const test = new EvaluationSet(model, head, { source: dataset.test }, hooks.signal);
  const watched = new EvaluationSet(model, head, { source: dataset.train, indices: split.validation }, hooks.signal);

  const encoder = await setup.backend.compile(spec, model.base, setup.vectors, composition, {
    ...(setup.threads === undefined ? {} : { threads: setup.threads }),
    ...(learning.microBatch === null ? {} : { microBatch: learning.microBatch }),
  });
  try {
    const zeroShot = await withComposed(encoder, encoder.initialCoefficients(), (composed) => test.measure(composed));
    const learned = await learn({
      ...learnerOptions(learning),
      encoder,
      objective: setup.objective.create({ heads: [head], options: setup.objectiveOptions }),
      batches: (epoch) => labelledBatches({ ...training, epoch }),
      batchesPerEpoch: batchCount(indices.length, learning.batchSize),
      ...(split.validation.length === 0
        ? {}
        : { evaluate: async (composed) => ({ accuracy: (await watched.measure(composed)).accuracy }) }),
      ...hooks,
    });
    const coefficients = pick(learned.last, encoder);
    const lastFeatures = await withComposed(encoder, coefficients, (composed) => test.features(composed));
    const last = await test.classify(lastFeatures);
    const selected =
      learned.best === null
        ? null
        : await withComposed(encoder, pick(learned.best.values, encoder), (composed) => test.measure(composed));
    if (setup.adapter === undefined) return { learned, zeroShot, last, selected, adapter: null };

    const shots = new EvaluationSet(model, head, { source: dataset.train, indices: split.shots }, hooks.signal);
    const fitted = await setup.adapter.factory.fit({
      head,
      shots: await withComposed(encoder, coefficients, (composed) => shots.features(composed)),
      options: setup.adapter.options,
      random: new Random(seed).fork("adapter"),
      signal: hooks.signal,
    });
    return {
      learned,
      zeroShot,
      last,
      selected,
      adapter: { fitted, accuracy: await accuracyOf(lastFeatures, (rows) => fitted.logits(rows)) },
    };
  } finally {
    encoder.dispose();
  }
}
