import { initAdamW, type AdamWState } from "./adamw.js";
import type { NamedArrays } from "./composition.js";
import { InputError } from "./errors.js";
import type { EpochRecord } from "./progress.js";

/** A kept set of coefficients. */
export interface Kept {
  readonly values: NamedArrays;
  readonly record: EpochRecord;
}

/**
 * Everything needed to continue a run after an epoch. Batches are derived from the epoch's number, so a run
 * continued from here takes the very steps of one that was never stopped.
 */
export interface LearnerState {
  readonly epoch: number;
  readonly step: number;
  /** Coefficients, and the objective's own parameters, by name. */
  readonly values: NamedArrays;
  readonly optimiser: AdamWState;
  readonly best: Kept | null;
  readonly history: readonly EpochRecord[];
}

/** The state before the first step; `values` become its own. */
export function initialState(values: NamedArrays): LearnerState {
  return { epoch: 0, step: 0, values, optimiser: initAdamW(values), best: null, history: [] };
}

/** Arrays that share no memory with the given ones. */
export function copyArrays(arrays: NamedArrays): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(arrays).map(([name, values]) => [name, values.slice()]));
}

/** A copy that later steps do not change. */
export function snapshot(state: LearnerState): LearnerState {
  const { count, firstMoments, secondMoments } = state.optimiser;
  return {
    ...state,
    values: copyArrays(state.values),
    optimiser: { count, firstMoments: copyArrays(firstMoments), secondMoments: copyArrays(secondMoments) },
    history: [...state.history],
  };
}

/** @throws InputError when a saved state does not belong to this run. */
export function checkState(state: LearnerState, initial: NamedArrays, epochs: number): void {
  const sizes = (arrays: NamedArrays): string =>
    Object.keys(arrays).sort().map((name) => `${name}[${arrays[name]!.length}]`).join(", ");
  if (sizes(state.values) !== sizes(initial)) {
    throw new InputError({ where: "saved state", got: sizes(state.values), expected: sizes(initial), next: "start in a new folder, or resume with the options of the first start" });
  }
  if (state.epoch > epochs) {
    throw new InputError({ where: "saved state", got: `${state.epoch} finished epochs`, expected: `at most ${epochs}` });
  }
}
