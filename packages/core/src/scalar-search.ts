import type { Metrics } from "./progress.js";

/** One point of the scalar baseline θ0 + α Σ τi (Ilharco et al. 2022) and what was measured there. */
export interface ScalarTrial {
  readonly coefficient: number;
  readonly metrics: Metrics;
}

export interface ScalarRule {
  readonly metric: string;
  /** Forget rather than learn: the lowest metric wins. */
  readonly minimise?: boolean;
  /** Trials whose control metric is below the threshold do not count. */
  readonly control?: { readonly metric: string; readonly threshold: number };
}

/** The best trial; the first of equals wins. Null when none keeps the control, or none is better than 0 (1 when minimising). */
export function bestTrial(trials: readonly ScalarTrial[], { metric, minimise = false, control }: ScalarRule): ScalarTrial | null {
  let best: ScalarTrial | null = null;
  let bound = minimise ? 1 : 0;
  for (const trial of trials) {
    if (control !== undefined && !(trial.metrics[control.metric]! >= control.threshold)) continue;
    const value = trial.metrics[metric]!;
    if (minimise ? value < bound : value > bound) {
      best = trial;
      bound = value;
    }
  }
  return best;
}
