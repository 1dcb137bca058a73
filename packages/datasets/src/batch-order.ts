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
  const order = random.fork("primary").permutation(primary.length);
  let lap = 0;
  let position = secondary.length;
  let lapOrder = new Int32Array(0);
  const nextSecondary = (): number => {
    if (position === secondary.length) {
      lapOrder = new Int32Array(random.fork(`secondary ${lap++}`).permutation(secondary.length));
      position = 0;
    }
    return secondary[lapOrder[position++]!]!;
  };
  return Array.from({ length: twoStreamBatchCount(primary.length, batchSize) }, (_, batch) => {
    const indices = new Int32Array(shares.primary + shares.secondary);
    for (let i = 0; i < shares.primary; i++) indices[i] = primary[order[batch * shares.primary + i]!]!;
    for (let i = 0; i < shares.secondary; i++) indices[shares.primary + i] = nextSecondary();
    return indices;
  });
}
