import { InputError, Random, trainingTransform, type Backend, type ClassificationHead, type Dataset } from "@atlas-tv/core";
import { PIXEL_CACHE_BYTES, splitTrainValidation, type JointStream, type TrainValidationSplit } from "@atlas-tv/datasets";
import { EvaluationSet } from "./evaluation-set.js";
import { loadHead, type LoadedModel } from "./loaded-model.js";
import { threadsOf, type BackendFlags } from "./shared-flags.js";
import { loadTarget } from "./target-data.js";
import type { Remarks } from "./terminal.js";

/** A data set that takes part in a run beside others, with the head that names its images. */
export interface JointTask {
  readonly dataset: Dataset;
  readonly head: ClassificationHead;
  readonly split: TrainValidationSplit;
  /** The validation images that are learned from, augmented (paper, sections 4.1 and 4.2). */
  readonly stream: JointStream;
  /** The same images as they are: what epochs are selected on. */
  readonly validation: EvaluationSet;
  readonly test: EvaluationSet;
}

export interface JointTaskContext {
  readonly backend: Backend;
  readonly remarks: Remarks;
  readonly signal: AbortSignal;
}

/** Bytes of pixels that all data sets of a run may keep together, as much as two of them alone. */
const CACHE_BYTES = 2 * PIXEL_CACHE_BYTES;

/** What each of so many data sets may keep of its validation images, and as much of its test images. */
export function cacheShare(tasks: number): number {
  return Math.floor(CACHE_BYTES / (2 * Math.max(1, tasks)));
}

export interface JointTaskFlags extends BackendFlags {
  readonly dataLocation?: string;
  /** Validation images used of each data set, at most. */
  readonly images?: number;
}

/**
 * @param tasks how many data sets take part.
 * @throws InputError also when the data set leaves no validation images.
 */
export async function loadJointTask(
  model: LoadedModel,
  target: string,
  flags: JointTaskFlags,
  { backend, remarks, signal }: JointTaskContext,
  tasks: number,
): Promise<JointTask> {
  const { dataLocation, images } = flags;
  const dataset = await loadTarget({ target, ...(dataLocation === undefined ? {} : { dataLocation }) });
  const head = await loadHead(model, dataset, { backend, remark: remarks.add, ...threadsOf(flags) });
  const split = splitTrainValidation(dataset.train.length);
  const indices = images === undefined ? split.validation : split.validation.subarray(0, images);
  if (indices.length === 0) {
    throw new InputError({
      where: `data set "${dataset.name}"`,
      got: `no validation images: a tenth of ${dataset.train.length} training images`,
      expected: "at least 10 training images, as validation images are what is learned from",
    });
  }
  const { spec, normalisation } = model;
  const cacheBytes = cacheShare(tasks);
  const augmentation = dataset.augmentation === undefined ? {} : { augmentation: dataset.augmentation };
  return {
    dataset,
    head,
    split,
    stream: { source: dataset.train, indices, transform: trainingTransform({ size: spec.imageSize, normalisation, ...augmentation }) },
    validation: new EvaluationSet(model, head, { source: dataset.train, indices, cacheBytes }, signal),
    test: new EvaluationSet(model, head, { source: dataset.test, cacheBytes }, signal),
  };
}

/** The generator of a joint run's batches. */
export function jointRandom(seed: number): Random {
  return new Random(seed).fork("joint training");
}
