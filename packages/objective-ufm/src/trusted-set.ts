import { InputError, type Predictions, type TrustedSet } from "@atlas-tv/core";

/** Images a class at most (aTLAS, section 4.4). */
export const MOST_PER_CLASS = 100;

function rowsOf({ probabilities, classes }: Predictions): number {
  const rows = probabilities.length / classes;
  if (classes >= 1 && Number.isInteger(rows)) return rows;
  throw new InputError({ where: "predictions", got: `${probabilities.length} probabilities`, expected: `a multiple of ${classes} classes` });
}

/** Up to this share of the images the best are picked in one pass; sorting all of them is faster for more. */
const PICKED_SHARE = 1 / 8;

/** The images that are most probable for a class, best first; of equals the first. */
function mostProbable({ probabilities, classes }: Predictions, label: number, count: number): Int32Array {
  const rows = probabilities.length / classes;
  const at = (row: number): number => probabilities[row * classes + label]!;
  if (count > PICKED_SHARE * rows) {
    return Int32Array.from({ length: rows }, (_, row) => row).sort((a, b) => at(b) - at(a) || a - b).subarray(0, count);
  }
  const best = new Int32Array(count);
  let filled = 0;
  for (let row = 0; row < rows; row++) {
    const value = at(row);
    if (filled === count && (count === 0 || value <= at(best[count - 1]!))) continue;
    let place = filled < count ? filled++ : count - 1;
    for (; place > 0 && at(best[place - 1]!) < value; place--) best[place] = best[place - 1]!;
    best[place] = row;
  }
  return best;
}

/** min(N / C, `most`) images a class, rounded down: none where there are fewer images than classes. */
export function trustedPerClass(predictions: Predictions, most = MOST_PER_CLASS): number {
  return Math.min(Math.floor(rowsOf(predictions) / predictions.classes), most);
}

/**
 * The class-balanced trusted set (aTLAS, section 4.4): of every class the `perClass` images that the model finds most
 * probable, with that class as their pseudo-label. An image chosen for several classes goes to the most probable.
 */
export function trustedSet(predictions: Predictions, perClass = trustedPerClass(predictions)): TrustedSet {
  rowsOf(predictions);
  const { probabilities, classes } = predictions;
  const chosen = new Map<number, number>();
  for (let label = 0; label < classes; label++) {
    for (const row of mostProbable(predictions, label, perClass)) {
      const before = chosen.get(row);
      const isBetter = before === undefined || probabilities[row * classes + label]! > probabilities[row * classes + before]!;
      if (isBetter) chosen.set(row, label);
    }
  }
  const indices = Int32Array.from(chosen.keys()).sort();
  return { indices, labels: indices.map((row) => chosen.get(row)!) };
}

function mostProbableClass({ probabilities, classes }: Predictions, row: number): number {
  let best = 0;
  for (let label = 1; label < classes; label++) {
    if (probabilities[row * classes + label]! > probabilities[row * classes + best]!) best = label;
  }
  return best;
}

/** What the released code selects. */
export interface ReleasedSelection {
  /** In ascending order; an image chosen for several classes comes up several times. */
  readonly secondary: Int32Array;
  /** All others. */
  readonly primary: Int32Array;
  /** What is marked as trusted: every image, each with its most probable class. */
  readonly trusted: TrustedSet;
}

/**
 * The selection of the released code, for comparison: a tenth of the images a class; where that is none, all of them
 * for every class. Its mark of trust falls on every image, whatever was selected.
 */
export function releasedSelection(predictions: Predictions): ReleasedSelection {
  const rows = rowsOf(predictions);
  const { classes } = predictions;
  const perClass = Math.min(Math.floor(rows / classes / 10), MOST_PER_CLASS);
  const labels = Array.from({ length: classes }, (_, label) => label);
  const secondary = Int32Array.from(labels.flatMap((label) => [...mostProbable(predictions, label, perClass === 0 ? rows : perClass)])).sort();
  const selected = new Set(secondary);
  const all = Int32Array.from({ length: rows }, (_, row) => row);
  return {
    secondary,
    primary: all.filter((row) => !selected.has(row)),
    trusted: { indices: all, labels: all.map((row) => mostProbableClass(predictions, row)) },
  };
}
