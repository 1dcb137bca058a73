import { imageInputs, InputError, type Random, type ImageSource, type ImageTransform, type SlicedBatch } from "@atlas-tv/core";
import { laps } from "./batch-order.js";
import { ahead, labelsAt, pixelsAt } from "./image-batch.js";
import { transformHere, type PixelRunner } from "./pixel-runner.js";

/** The images of one data set that take part. */
export interface JointStream {
  readonly source: ImageSource;
  readonly indices: Int32Array;
  readonly transform: ImageTransform;
}

export interface JointBatchOptions {
  readonly streams: readonly JointStream[];
  /** Images of all data sets together; each has the same share, rounded down. */
  readonly batchSize: number;
  /** How many batches the epoch has: `jointBatchCount` of the stream that an epoch runs through once. */
  readonly batches: number;
  /** Order and augmentation of an epoch depend on this generator's seed and the epoch alone. */
  readonly random: Random;
  readonly epoch: number;
  /** As for `labelledBatches`. */
  readonly pixels?: PixelRunner;
}

/** Images of one data set in a batch of `batchSize` that `streams` data sets share. @throws InputError below one. */
export function jointShare(batchSize: number, streams: number): number {
  const share = Math.floor(batchSize / streams);
  if (share >= 1) return share;
  throw new InputError({
    where: "batch size",
    got: String(batchSize),
    expected: `at least ${streams}, an image of every data set`,
  });
}

/** Batches in which `count` images of one data set are seen once, its last share filled up from the next lap. */
export function jointBatchCount(count: number, batchSize: number, streams: number): number {
  return Math.ceil(count / jointShare(batchSize, streams));
}

/**
 * Batches that several data sets share equally, slice by slice (negation, addition). Every data set runs through its
 * images shuffled, again and again, so that none ends before the others. Same seed and epoch, same bytes.
 * @throws InputError when a data set has no images.
 */
export function jointBatches(options: JointBatchOptions): AsyncGenerator<SlicedBatch, void, undefined> {
  const { streams, batchSize, batches, pixels = transformHere } = options;
  const share = jointShare(batchSize, streams.length);
  const random = options.random.fork(`epoch ${options.epoch}`);
  const orders = streams.map(({ source, indices }, stream) => {
    if (indices.length === 0) {
      throw new InputError({ where: `images of ${source.name}`, got: "none", expected: "at least one image" });
    }
    return laps(indices, batches * share, random.fork(`order ${stream}`));
  });
  return ahead(batches, pixels.depth, async (batch) => {
    const draws = random.fork(`batch ${batch}`);
    const slices = await Promise.all(streams.map(async ({ source, transform }, stream) => {
      const indices = orders[stream]!.subarray(batch * share, (batch + 1) * share);
      const images = await pixelsAt({ source, transform, pixels }, indices, draws.fork(stream));
      return { images: imageInputs(images, transform.normalisation), labels: labelsAt(source, indices) };
    }));
    const [first] = slices;
    const data = new Float32Array(slices.reduce((sum, { images }) => sum + images.data.length, 0));
    let at = 0;
    for (const { images } of slices) {
      data.set(images.data, at);
      at += images.data.length;
    }
    const [, ...image] = first!.images.shape;
    return { images: { data, shape: [share * streams.length, ...image] }, labels: slices.map(({ labels }) => labels) };
  });
}
