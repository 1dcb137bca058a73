import { InputError, Random } from "@atlas-tv/core";

/** Validation takes a tenth of the training set, at most this many images (paper, section 4). */
const VALIDATION_LIMIT = 5000;

/** Two parts of a training set, each in random order, so that a beginning of either is a fair sample. */
export interface TrainValidationSplit {
  readonly train: Int32Array;
  readonly validation: Int32Array;
}

/** Splits 0 … n − 1: min(⌊0.1 n⌋, 5000) validation images, the rest for training. The paper's seed is 0. */
export function splitTrainValidation(n: number, seed: number | string = 0): TrainValidationSplit {
  const order = new Random(seed).fork("train-validation").permutation(n);
  const train = n - Math.min(Math.floor(0.1 * n), VALIDATION_LIMIT);
  return { train: order.slice(0, train), validation: order.slice(train) };
}

/**
 * Splits labelled items class by class: `share` of every class, at least one, goes to the second part, and a class
 * of one item stays in the first. Both parts are in ascending order.
 */
export function splitEveryClass(labels: Int32Array, share: number, random: Random): { first: Int32Array; second: Int32Array } {
  const held: number[] = [];
  for (const [label, members] of groupByLabel(labels, Int32Array.from(labels, (_, index) => index))) {
    const count = members.length < 2 ? 0 : Math.max(1, Math.floor(share * members.length));
    const order = random.fork(label).permutation(members.length);
    for (let i = 0; i < count; i++) held.push(members[order[i]!]!);
  }
  const second = Int32Array.from(held).sort();
  const isHeld = new Set(held);
  const first = Int32Array.from(labels, (_, index) => index).filter((index) => !isHeld.has(index));
  return { first, second };
}

/** The indices of each label that occurs, in their given order. */
export function groupByLabel(labels: Int32Array, indices: Int32Array): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const index of indices) {
    const label = labels[index];
    if (label === undefined) {
      throw new InputError({ where: "indices", got: `index ${index}`, expected: `0 to ${labels.length - 1}` });
    }
    const group = groups.get(label);
    if (group === undefined) groups.set(label, [index]);
    else group.push(index);
  }
  return groups;
}
