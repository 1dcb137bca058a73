import {
  accuracyOf,
  cosineSchedule,
  encodeAll,
  headLogits,
  learn,
  Random,
  trainingTransform,
  validationTransform,
  type Accuracy,
  type AdapterFactory,
  type Backend,
  type ClassificationHead,
  type CompiledEncoder,
  type Composition,
  type Dataset,
  type FittedAdapter,
  type LabelledBatch,
  type LabelledFeatures,
  type Learned,
  type LearnerState,
  type LpRegulariser,
  type NamedArrays,
  type ObjectiveFactory,
  type ProgressSink,
  type TaskVector,
} from "@atlas-tv/core";
import {
  batchCount,
  evaluationBatches,
  fewShots,
  fraction,
  labelledBatches,
  oversample,
  splitTrainValidation,
} from "@atlas-tv/datasets";
import type { Subsample } from "./flags.js";
import { stoppable } from "./interruption.js";
import type { LoadedModel } from "./loaded-model.js";

/** Images evaluated at once: bounds memory, not results. */
const EVALUATION_BATCH = 250;

export interface FewShotRecipe {
  readonly subsample: Subsample;
  readonly allowShort: boolean;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly accumulate: number;
  readonly microBatch?: number;
  readonly regulariser?: LpRegulariser;
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

async function encodeWith(
  encoder: CompiledEncoder,
  coefficients: NamedArrays,
  images: AsyncIterable<LabelledBatch>,
): Promise<LabelledFeatures> {
  const composed = await encoder.compose(coefficients);
  try {
    return await encodeAll(composed, images);
  } finally {
    composed.dispose();
  }
}

/** Learns a composition from a few labelled images of the target and measures it on the whole test set. */
export async function runFewShots(
  setup: FewShotSetup,
  recipe: FewShotRecipe,
  split: FewShotSplit,
  seed: number,
  hooks: { onEvent: ProgressSink; signal: AbortSignal; resume?: LearnerState; save: (state: LearnerState) => Promise<void> },
): Promise<FewShotResult> {
  const { model, dataset, head, composition } = setup;
  const { spec, normalisation } = model;
  const still = validationTransform(spec.imageSize, normalisation);
  const augmentation = dataset.augmentation === undefined ? {} : { augmentation: dataset.augmentation };
  const indices = oversample(split.shots, recipe.batchSize);
  const training = {
    source: dataset.train,
    indices,
    batchSize: recipe.batchSize,
    transform: trainingTransform({ size: spec.imageSize, normalisation, ...augmentation }),
    random: new Random(seed).fork("training"),
  };
  const test = stoppable(
    evaluationBatches({ source: dataset.test, batchSize: EVALUATION_BATCH, transform: still }),
    hooks.signal,
  );
  const watched = stoppable(
    evaluationBatches({ source: dataset.train, indices: split.validation, batchSize: EVALUATION_BATCH, transform: still }),
    hooks.signal,
  );
  const classify = (features: LabelledFeatures): Promise<Accuracy> => accuracyOf(features, (rows) => headLogits(head, rows));

  const encoder = await setup.backend.compile(spec, model.base, setup.vectors, composition, {
    ...(setup.threads === undefined ? {} : { threads: setup.threads }),
    ...(recipe.microBatch === undefined ? {} : { microBatch: recipe.microBatch }),
  });
  try {
    const zeroShot = await classify(await encodeWith(encoder, encoder.initialCoefficients(), test));
    const learned = await learn({
      encoder,
      objective: setup.objective.create({ heads: [head], options: setup.objectiveOptions }),
      batches: (epoch) => labelledBatches({ ...training, epoch }),
      batchesPerEpoch: batchCount(indices.length, recipe.batchSize),
      epochs: recipe.epochs,
      learningRate: recipe.learningRate,
      schedule: cosineSchedule(),
      adamw: { weightDecay: recipe.weightDecay },
      accumulate: recipe.accumulate,
      ...(recipe.microBatch === undefined ? {} : { microBatch: recipe.microBatch }),
      ...(recipe.regulariser === undefined ? {} : { regulariser: recipe.regulariser }),
      ...(split.validation.length === 0
        ? {}
        : { evaluate: async (composed) => ({ accuracy: (await classify(await encodeAll(composed, watched))).accuracy }) }),
      ...hooks,
    });
    const coefficients = pick(learned.last, encoder);
    const lastFeatures = await encodeWith(encoder, coefficients, test);
    const last = await classify(lastFeatures);
    const selected =
      learned.best === null ? null : await classify(await encodeWith(encoder, pick(learned.best.values, encoder), test));
    if (setup.adapter === undefined) return { learned, zeroShot, last, selected, adapter: null };

    const shots = evaluationBatches({
      source: dataset.train,
      indices: split.shots,
      batchSize: EVALUATION_BATCH,
      transform: still,
    });
    const fitted = await setup.adapter.factory.fit({
      head,
      shots: await encodeWith(encoder, coefficients, shots),
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

/** The coefficients among learned values: an objective's own parameters are left out. */
export function pick(values: NamedArrays, encoder: CompiledEncoder): NamedArrays {
  const names = Object.keys(encoder.composition.shapes(encoder.spec.blocks, encoder.vectorCount));
  return Object.fromEntries(names.map((name) => [name, values[name]!]));
}
