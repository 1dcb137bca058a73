import type { Metrics } from "./progress.js";

/** Whether an epoch replaces the best so far, as `LearnOptions.better` takes it. */
export type SelectionRule = (candidate: Metrics, best: Metrics | null) => boolean;

/** Names of the metrics that the rules read: accuracies in [0, 1]. */
export const NEGATION_METRICS = { target: "target", control: "control" } as const;

export const ADDITION_METRICS = { mean: "mean", normalisedMean: "normalised mean" } as const;

/**
 * Negation keeps the epoch with the lowest target accuracy, below zero-shot, whose control accuracy is at least
 * `threshold` times zero-shot (paper, section 4.1: 0.95). No epoch may qualify.
 */
export function negationRule(zeroShot: { readonly target: number; readonly control: number }, threshold: number): SelectionRule {
  const { target, control } = NEGATION_METRICS;
  return (candidate, best) =>
    candidate[control]! >= threshold * zeroShot.control && candidate[target]! < (best?.[target] ?? zeroShot.target);
}

/** Addition keeps the epoch with the best mean of normalised accuracies, above zero-shot (paper, section 4.2). */
export function additionRule(zeroShotNormalisedMean: number): SelectionRule {
  const { normalisedMean } = ADDITION_METRICS;
  return (candidate, best) => candidate[normalisedMean]! > (best?.[normalisedMean] ?? zeroShotNormalisedMean);
}

/**
 * Accuracies by task, their mean, and the mean of accuracies divided by those of the fine-tuned models.
 * @param finetuned by the same names; a task whose fine-tuned accuracy is 0 counts with 0.
 */
export function additionMetrics(accuracies: Metrics, finetuned: Metrics): Metrics {
  const tasks = Object.keys(accuracies);
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const normalised = tasks.map((task) => (finetuned[task]! > 0 ? accuracies[task]! / finetuned[task]! : 0));
  return {
    ...accuracies,
    [ADDITION_METRICS.mean]: mean(tasks.map((task) => accuracies[task]!)),
    [ADDITION_METRICS.normalisedMean]: mean(normalised),
  };
}
