import type { CompiledEncoder, NamedArrays } from "@atlas-tv/core";

/** What is said of a result that `isUnmoved`. */
export const UNMOVED = "no coefficient has left its start: nothing was learned, and the composition is the pre-trained model";

/** Whether values still are the coefficients that learning starts from, those of the pre-trained model. */
export function isUnmoved(values: NamedArrays, encoder: CompiledEncoder): boolean {
  const start = Object.entries(encoder.initialCoefficients());
  return start.every(([name, initial]) => initial.every((value, i) => value === values[name]![i]));
}
