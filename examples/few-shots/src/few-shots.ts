import {
  accuracyOf, cosineSchedule, CrossEntropyObjective, encodeAll, headLogits, learn, Random,
  trainingTransform, validationTransform,
  type Accuracy, type AdapterContext, type Backend, type ClassificationHead, type CompiledEncoder, type Dataset, type ImageEncoderSpec,
  type FittedAdapter, type JointAdapter, type LabelledBatch, type LabelledFeatures, type Learned, type LearnerState, type NamedArrays, type NamedHostTensors, type Normalisation, type ProgressSink, type TaskVector,
} from "@atlas-tv/core";
import { evaluationBatches, fewShots, labelledBatches, oversample, splitTrainValidation } from "@atlas-tv/datasets";

/** A pre-trained encoder, its task vectors, and the data set it is to be adapted to. */
export interface FewShotTask {
  readonly backend: Backend;
  readonly spec: ImageEncoderSpec;
  readonly base: NamedHostTensors;
  readonly vectors: readonly TaskVector[];
  readonly head: ClassificationHead;
  readonly normalisation: Normalisation;
  readonly dataset: Dataset;
}

/** What `atlas few-shots` does by default; docs/results.md says how the rates were chosen. */
export const RECIPE = {
  epochs: 10,
  batchSize: 64,
  weightDecay: 0.1,
  /** As it is chosen for so many images of every class. */
  learningRate: (imagesPerClass: number): number => (imagesPerClass >= 16 ? 0.1 : imagesPerClass > 1 ? 0.03 : 0.01),
} as const;

const EVALUATION_BATCH = 250;

/** The parts of the data: shots come from the training part, so validation images are never among them. */
export function splits(task: FewShotTask): { train: Int32Array; validation: Int32Array } {
  const { train, validation } = splitTrainValidation(task.dataset.train.length);
  return { train, validation };
}

/** k labelled images of every class, drawn by seed. */
export function drawShots(task: FewShotTask, k: number, seed: number): Int32Array {
  const { train, classNames } = task.dataset;
  return fewShots(train.labels, splits(task).train, k, new Random(seed).fork("shots"), { classNames, where: `${task.dataset.name}, ${k} shots` });
}

/** The images that accuracy is reported on: the test set, or the validation images when settings are being chosen; `count` of them, drawn at random. */
export function reportedImages(task: FewShotTask, part: "test" | "validation", count = Infinity): AsyncIterable<LabelledBatch> {
  const { dataset, spec, normalisation } = task;
  const transform = validationTransform(spec.imageSize, normalisation);
  const source = part === "test" ? dataset.test : dataset.train;
  const all = part === "test" ? Int32Array.from({ length: source.length }, (_, index) => index) : splits(task).validation;
  const indices = count < all.length ? new Random(0).permutation(all.length).subarray(0, count).map((at) => all[at]!) : all;
  return evaluationBatches({ source, indices, batchSize: EVALUATION_BATCH, transform });
}

/** Features of images under θ0 + Σ λτ; without coefficients under θ0. */
export async function featuresOf(encoder: CompiledEncoder, coefficients: NamedArrays | null, images: AsyncIterable<LabelledBatch>): Promise<LabelledFeatures> {
  const composed = await encoder.compose(coefficients ?? encoder.initialCoefficients());
  try {
    return await encodeAll(composed, images);
  } finally {
    composed.dispose();
  }
}

/** Accuracy of the zero-shot head on features. */
export function headAccuracy(task: FewShotTask, features: LabelledFeatures): Promise<Accuracy> {
  return accuracyOf(features, (rows) => headLogits(task.head, rows));
}

/** What an adapter is fitted to: the shots, each once and not augmented, under θ0 + Σ λτ or, without coefficients, under θ0. */
export async function adapterContext(task: FewShotTask, encoder: CompiledEncoder, coefficients: NamedArrays | null, shots: Int32Array, seed: number): Promise<AdapterContext> {
  const transform = validationTransform(task.spec.imageSize, task.normalisation);
  const images = evaluationBatches({ source: task.dataset.train, indices: shots, batchSize: EVALUATION_BATCH, transform });
  return { head: task.head, shots: await featuresOf(encoder, coefficients, images), options: {}, random: new Random(seed).fork("adapter") };
}

/** Accuracy of an adapter on features. */
export function adapterAccuracy(adapter: FittedAdapter, features: LabelledFeatures): Promise<Accuracy> {
  return accuracyOf(features, (rows) => adapter.logits(rows));
}

export interface LearningOptions {
  /** Default the recipe's. */
  readonly epochs?: number;
  /** An adapter that is learned beside the coefficients, in twice the epochs (paper, section 4.3). */
  readonly joint?: JointAdapter;
  readonly onEvent?: ProgressSink;
  readonly signal?: AbortSignal;
  readonly resume?: LearnerState;
  readonly save?: (state: LearnerState) => Promise<void>;
}

/** Learns the coefficients from the shots: cross-entropy with the frozen text head, AdamW, cosine. */
export async function learnFromShots(task: FewShotTask, encoder: CompiledEncoder, shots: Int32Array, seed: number, options: LearningOptions = {}): Promise<Learned> {
  const { epochs = RECIPE.epochs, joint, ...hooks } = options;
  const { dataset, spec, normalisation, head } = task;
  const random = new Random(seed).fork("training");
  const augmentation = dataset.augmentation === undefined ? {} : { augmentation: dataset.augmentation };
  const indices = oversample(shots, RECIPE.batchSize);
  const training = { source: dataset.train, indices, batchSize: RECIPE.batchSize, transform: trainingTransform({ size: spec.imageSize, normalisation, ...augmentation }), random };
  return learn({
    encoder,
    objective: joint?.objective ?? new CrossEntropyObjective(head),
    batches: (epoch) => labelledBatches({ ...training, epoch }),
    batchesPerEpoch: Math.ceil(indices.length / RECIPE.batchSize),
    epochs: joint === undefined ? epochs : 2 * epochs,
    learningRate: RECIPE.learningRate(shots.length / dataset.classNames.length),
    adamw: { weightDecay: RECIPE.weightDecay },
    schedule: cosineSchedule(),
    ...hooks,
  });
}
