import type { ClassificationHead } from "./classification-head.js";
import type { LabelledBatch, Objective } from "./objective.js";

/** What an objective may need to know about the run it serves. */
export interface ObjectiveContext {
  /** One head per data set; the first is the target's. */
  readonly heads: readonly ClassificationHead[];
  /** Options of the plug-in, already checked against its schema. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Registered under `TOKENS.objective`; makes an objective for a run. */
export interface ObjectiveFactory {
  readonly id: string;
  create(context: ObjectiveContext): Objective<LabelledBatch>;
}
