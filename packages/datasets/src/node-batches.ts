/** The batches of `batches.ts`, with images decoded and transformed in worker threads unless `pixels` says otherwise. */
import type { EpochPlan, LabelledBatch, SlicedBatch, UnlabelledBatch } from "@atlas-tv/core";
import * as anywhere from "./batches.js";
import type { EvaluationBatchOptions, StillBatch, StillBatchOptions, TrainingBatchOptions } from "./batches.js";
import * as joint from "./joint-batches.js";
import { sharedPixelWorkers } from "./pixel-workers.js";
import * as unlabelled from "./unlabelled-batches.js";

/**
 * The training batches of one epoch, images `(batch, S, S, 3)` and labels `(batch)`: shuffled, augmented, the last one short. Same seed
 * and epoch, same bytes.
 * @throws InputError for an index outside the source or a batch size below 1.
 */
export function labelledBatches(options: TrainingBatchOptions): AsyncGenerator<LabelledBatch, void, undefined> {
  return anywhere.labelledBatches({ pixels: sharedPixelWorkers(), ...options });
}

/** Batches in the given order, the last one short, for any number of passes; pixels of the first pass serve the later ones. */
export function stillBatches(options: StillBatchOptions): AsyncIterable<StillBatch> {
  return anywhere.stillBatches({ pixels: sharedPixelWorkers(), ...options });
}

/** `stillBatches` with labels: what accuracy is measured on. */
export function evaluationBatches(options: EvaluationBatchOptions): AsyncIterable<LabelledBatch> {
  return anywhere.evaluationBatches({ pixels: sharedPixelWorkers(), ...options });
}

/**
 * The batches of an epoch without labels, each image in two views, a quarter of each batch trusted (aTLAS, section 4.4).
 * @throws InputError without images, and for a batch size below 4.
 */
export function unlabelledBatches(options: unlabelled.UnlabelledBatchOptions): EpochPlan<UnlabelledBatch> {
  return unlabelled.unlabelledBatches({ pixels: sharedPixelWorkers(), ...options });
}

/**
 * Batches that several data sets share equally, slice by slice (negation, addition); none ends before the others.
 * @throws InputError when a data set has no images.
 */
export function jointBatches(options: joint.JointBatchOptions): AsyncGenerator<SlicedBatch, void, undefined> {
  return joint.jointBatches({ pixels: sharedPixelWorkers(), ...options });
}
