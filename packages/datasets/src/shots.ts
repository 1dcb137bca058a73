import { InputError, type Random } from "@atlas-tv/core";
import { groupByLabel } from "./split.js";

/** An epoch of few-shot training has at least this many batches (paper, section 4.3). */
const MINIMUM_BATCHES = 10;

export interface FewShotOptions {
  /** In label order; every one of them must have k images. Default: the labels 0 … largest that occurs. */
  readonly classNames?: readonly string[];
  /** Take all images of a class that has fewer than k, rather than throw. Default false. */
  readonly allowShort?: boolean;
  /** What the indices belong to, for messages. */
  readonly where?: string;
}

/** A class with fewer images than shots. */
export interface ShortClass {
  readonly label: number;
  /** Images that it has. */
  readonly count: number;
}

/** Those of the labels 0 … `classes` − 1 that have fewer than k images among `indices`, in label order. */
export function shortClasses(labels: Int32Array, indices: Int32Array, k: number, classes: number): readonly ShortClass[] {
  const groups = groupByLabel(labels, indices);
  return Array.from({ length: classes }, (_, label) => ({ label, count: groups.get(label)?.length ?? 0 })).filter(({ count }) => count < k);
}

/**
 * k distinct images of every class out of `indices`, grouped by class. For one seed the shots of a smaller k are
 * among those of a larger one.
 * @throws InputError when k is not a positive integer, or a class has fewer than k images (says how many).
 */
export function fewShots(
  labels: Int32Array,
  indices: Int32Array,
  k: number,
  random: Random,
  options: FewShotOptions = {},
): Int32Array {
  const { classNames, allowShort = false, where = "few-shot sampling" } = options;
  if (!Number.isInteger(k) || k < 1) throw new InputError({ where, got: `${k} shots`, expected: "a whole number of at least 1" });
  const classes = classNames?.length ?? labels.reduce((largest, label) => Math.max(largest, label), -1) + 1;
  const short = shortClasses(labels, indices, k, classes);
  if (short.length > 0 && !allowShort) {
    const smallest = short.reduce((a, b) => (b.count < a.count ? b : a));
    const others = short.length === 1 ? "" : `, and ${short.length - 1} more classes have fewer than ${k}`;
    const next = smallest.count > 0 ? `ask for at most ${smallest.count} shots, or allow classes that are short (allowShort, --allow-short)` : "choose a data set with images of every class";
    throw new InputError({
      where,
      got: `${smallest.count} images of class "${classNames?.[smallest.label] ?? smallest.label}"${others}`,
      expected: `at least ${k} images of every class for ${k} shots`,
      next,
    });
  }
  const groups = groupByLabel(labels, indices);
  const shots: number[] = [];
  for (let label = 0; label < classes; label++) {
    const members = groups.get(label) ?? [];
    const order = random.fork(label).permutation(members.length);
    for (const position of order.subarray(0, k)) shots.push(members[position]!);
  }
  return Int32Array.from(shots);
}

/** A random share of `indices`, rounded to whole images, at least one. */
export function fraction(indices: Int32Array, share: number, random: Random): Int32Array {
  if (!(share > 0 && share <= 1)) {
    throw new InputError({
      where: "fraction of the training images",
      got: String(share),
      expected: "more than 0, at most 1",
    });
  }
  const count = Math.max(1, Math.round(share * indices.length));
  return random.permutation(indices.length).subarray(0, count).map((position) => indices[position]!);
}

/**
 * How often few images are repeated in an epoch so that it has at least ten batches: with r = n / batchSize,
 * ⌊10 / r⌋ + 1 times when r < 10.
 */
export function oversamplingCopies(n: number, batchSize: number): number {
  const ratio = n / batchSize;
  return ratio < MINIMUM_BATCHES ? Math.floor(MINIMUM_BATCHES / ratio) + 1 : 1;
}

/** `indices`, repeated as `oversamplingCopies` says. */
export function oversample(indices: Int32Array, batchSize: number): Int32Array {
  if (indices.length === 0) throw new InputError({ where: "oversample", got: "no images", expected: "at least one" });
  const repeated = new Int32Array(indices.length * oversamplingCopies(indices.length, batchSize));
  for (let at = 0; at < repeated.length; at += indices.length) repeated.set(indices, at);
  return repeated;
}
