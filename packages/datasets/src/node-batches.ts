/** The batches of `batches.ts`, with images decoded and transformed in worker threads unless `pixels` says otherwise. */
import type { EpochPlan, LabelledBatch, SlicedBatch, UnlabelledBatch } from "@atlas-tv/core";
import * as anywhere from "./batches.js";
import type { EvaluationBatchOptions, StillBatch, StillBatchOptions, TrainingBatchOptions } from "./batches.js";
import * as joint from "./joint-batches.js";
import { sharedPixelWorkers } from "./pixel-workers.js";
import * as unlabelled from "./unlabelled-batches.js";

export function labelledBatches(options: TrainingBatchOptions): AsyncGenerator<LabelledBatch, void, undefined> {
  return anywhere.labelledBatches({ pixels: sharedPixelWorkers(), ...options });
}

export function stillBatches(options: StillBatchOptions): AsyncIterable<StillBatch> {
  return anywhere.stillBatches({ pixels: sharedPixelWorkers(), ...options });
}

export function evaluationBatches(options: EvaluationBatchOptions): AsyncIterable<LabelledBatch> {
  return anywhere.evaluationBatches({ pixels: sharedPixelWorkers(), ...options });
}

export function unlabelledBatches(options: unlabelled.UnlabelledBatchOptions): EpochPlan<UnlabelledBatch> {
  return unlabelled.unlabelledBatches({ pixels: sharedPixelWorkers(), ...options });
}

export function jointBatches(options: joint.JointBatchOptions): AsyncGenerator<SlicedBatch, void, undefined> {
  return joint.jointBatches({ pixels: sharedPixelWorkers(), ...options });
}
