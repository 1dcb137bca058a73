import { InputError, type Random } from "@atlas-tv/core";

function requireBatchSize(batchSize: number, least: number): void {
  if (Number.isInteger(batchSize) && batchSize >= least) return;
  throw new InputError({ where: "batch size", got: String(batchSize), expected: `a whole number of at least ${least}` });
}

/** Batches in `count` images; the last one may be short. */
export function batchCount(count: number, batchSize: number): number {
  requireBatchSize(batchSize, 1);
  return Math.ceil(count / batchSize);
}

/** `indices` cut into batches in order, the last one short. */
export function batchesInOrder(indices: Int32Array, batchSize: number): Int32Array[] {
  return Array.from({ length: batchCount(indices.length, batchSize) }, (_, batch) =>
    indices.subarray(batch * batchSize, (batch + 1) * batchSize));
}

/** `indices` shuffled and cut into batches, the last one short, as PyTorch's DataLoader does by default. */
export function shuffledBatches(indices: Int32Array, batchSize: number, random: Random): Int32Array[] {
  const order = random.permutation(indices.length).map((position) => indices[position]!);
  return batchesInOrder(order, batchSize);
}

/**
 * The first `count` of `indices` in a shuffled order, again and again, shuffled anew each time.
 * @throws InputError when something is wanted of no indices.
 */
export function laps(indices: Int32Array, count: number, random: Random): Int32Array {
  if (indices.length === 0 && count > 0) throw new InputError({ where: "laps", got: "no indices", expected: "at least one" });
  const order = new Int32Array(count);
  for (let lap = 0, at = 0; at < count; lap++) {
    const shuffled = random.fork(`lap ${lap}`).permutation(indices.length).subarray(0, count - at);
    shuffled.forEach((position, i) => {
      order[at + i] = indices[position]!;
    });
    at += shuffled.length;
  }
  return order;
}

/** How many images of each stream a two-stream batch holds: three quarters primary, a quarter secondary, rounded down. */
export function twoStreamShares(batchSize: number): { primary: number; secondary: number } {
  requireBatchSize(batchSize, 4);
  return { primary: Math.floor((3 * batchSize) / 4), secondary: Math.floor(batchSize / 4) };
}

/** Batches of an epoch over two streams: every primary image once, an incomplete last share left out. */
export function twoStreamBatchCount(primaryCount: number, batchSize: number): number {
  return Math.floor(primaryCount / twoStreamShares(batchSize).primary);
}

/**
 * Batches whose first three quarters run once through `primary`, shuffled, and whose last quarter runs through
 * `secondary` again and again, reshuffled each time (test-time adaptation: unlabelled and trusted images).
 * @throws InputError when `secondary` is empty.
 */
export function twoStreamBatches(primary: Int32Array, secondary: Int32Array, batchSize: number, random: Random): Int32Array[] {
  const shares = twoStreamShares(batchSize);
  if (secondary.length === 0) {
    throw new InputError({
      where: "two-stream batches",
      got: "an empty secondary stream",
      expected: "at least one image",
    });
  }
  const count = twoStreamBatchCount(primary.length, batchSize);
  const first = laps(primary, count * shares.primary, random.fork("primary"));
  const second = laps(secondary, count * shares.secondary, random.fork("secondary"));
  return Array.from({ length: count }, (_, batch) =>
    Int32Array.of(
      ...first.subarray(batch * shares.primary, (batch + 1) * shares.primary),
      ...second.subarray(batch * shares.secondary, (batch + 1) * shares.secondary),
    ));
}
