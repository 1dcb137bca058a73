import {
  imageInputs, InputError,
  type EpochPlan, type ImageTransform, type Random, type TrustedSet, type UnlabelledBatch, type UnlabelledSource,
} from "@atlas-tv/core";
import { batchesInOrder, laps, shuffledBatches, twoStreamBatchCount, twoStreamBatches } from "./batch-order.js";
import { ahead, pixelsAt } from "./image-batch.js";
import { transformHere, type PixelRunner } from "./pixel-runner.js";

export interface UnlabelledBatchOptions {
  readonly source: UnlabelledSource;
  /** Images whose pseudo-labels the epoch takes for true; none by default. */
  readonly trusted?: TrustedSet;
  readonly batchSize: number;
  /** As for evaluation: draws no random numbers. */
  readonly weak: ImageTransform;
  /** The augmentation. */
  readonly strong: ImageTransform;
  /** Order and augmentation of an epoch depend on this generator's seed and the epoch alone. */
  readonly random: Random;
  readonly epoch: number;
  /** As for `labelledBatches`. */
  readonly pixels?: PixelRunner;
}

const NONE: TrustedSet = { indices: new Int32Array(0), labels: new Int32Array(0) };

/**
 * Which images make each batch: one of the trusted quarter to three others. Others that do not fill such a batch make one
 * with a third as many trusted images; where one kind is missing, the images are taken as they come.
 */
function orderOf({ source, trusted = NONE, batchSize, random }: UnlabelledBatchOptions): Int32Array[] {
  const { indices, quarter = indices } = trusted;
  const inQuarter = new Set(quarter);
  const rest = Int32Array.from({ length: source.length }, (_, index) => index).filter((index) => !inQuarter.has(index));
  if (quarter.length === 0) return shuffledBatches(rest, batchSize, random);
  if (rest.length === 0) return shuffledBatches(indices, batchSize, random);
  if (twoStreamBatchCount(rest.length, batchSize) > 0) return twoStreamBatches(rest, quarter, batchSize, random);
  const some = laps(quarter, Math.ceil(rest.length / 3), random.fork("secondary"));
  return batchesInOrder(Int32Array.of(...rest, ...some), rest.length + some.length);
}

/**
 * The batches of an epoch without labels: each image in two views, a quarter of each batch trusted, every other image
 * once, an incomplete last share left out (aTLAS, section 4.4). Same seed, epoch and trusted set: same bytes.
 * @throws InputError without images, and for a batch size below 4.
 */
export function unlabelledBatches(options: UnlabelledBatchOptions): EpochPlan<UnlabelledBatch> {
  const { source, trusted = NONE, pixels = transformHere } = options;
  if (source.length === 0) throw new InputError({ where: `images of ${source.name}`, got: "none", expected: "at least one" });
  const labels = new Map(Array.from(trusted.indices, (index, at) => [index, trusted.labels[at]!]));
  const random = options.random.fork(options.epoch);
  const order = orderOf({ ...options, random: random.fork("order") });
  const make = async (batch: number): Promise<UnlabelledBatch> => {
    const indices = order[batch]!;
    const view = async (transform: ImageTransform): Promise<UnlabelledBatch["weak"]> =>
      imageInputs(await pixelsAt({ source, transform, pixels }, indices, random.fork(`batch ${batch}`)), transform.normalisation);
    const [weak, strong] = await Promise.all([view(options.weak), view(options.strong)]);
    return { weak, strong, trusted: indices.map((index) => labels.get(index) ?? -1) };
  };
  return { count: order.length, batches: ahead(order.length, pixels.depth, make) };
}
