import {
  imageInputs, InputError, Random,
  type EncoderInputs, type ImageSource, type ImageTransform, type LabelledBatch, type PixelImage, type UnlabelledSource,
} from "@atlas-tv/core";
import { batchesInOrder, shuffledBatches } from "./batch-order.js";
import { ahead, labelsAt, pixelsAt } from "./image-batch.js";
import { transformHere, type PixelRunner } from "./pixel-runner.js";

/** Bytes of preprocessed pixels that repeated evaluation keeps: 10,000 images of 32 × 32 take a tenth of it. */
export const PIXEL_CACHE_BYTES = 256 * 2 ** 20;

export interface BatchOptions {
  readonly source: ImageSource;
  /** Which images of the source, default all; an index may occur more than once. */
  readonly indices?: Int32Array;
  readonly batchSize: number;
  readonly transform: ImageTransform;
  /** Where images are decoded and transformed. Default in Node: worker threads, beside the computation; in browsers: here. */
  readonly pixels?: PixelRunner;
}

export interface TrainingBatchOptions extends BatchOptions {
  /** Order and augmentation of an epoch depend on this generator's seed and the epoch alone. */
  readonly random: Random;
  readonly epoch: number;
}

export interface StillBatchOptions extends Omit<BatchOptions, "source"> {
  readonly source: UnlabelledSource;
  /** Most bytes of preprocessed pixels kept for the next pass. Default `PIXEL_CACHE_BYTES`. */
  readonly cacheBytes?: number;
}

export interface EvaluationBatchOptions extends StillBatchOptions {
  readonly source: ImageSource;
}

function allOf(source: UnlabelledSource): Int32Array {
  return Int32Array.from({ length: source.length }, (_, index) => index);
}

function checked({ source, indices = allOf(source) }: Pick<StillBatchOptions, "source" | "indices">): Int32Array {
  const wrong = indices.find((index) => index < 0 || index >= source.length);
  if (wrong === undefined) return indices;
  throw new InputError({ where: `batches of ${source.name}`, got: `index ${wrong}`, expected: `0 to ${source.length - 1}` });
}

/**
 * The training batches of one epoch: shuffled, augmented, the last one short. Same seed and epoch, same bytes.
 * @throws InputError for an index outside the source or a batch size below 1.
 */
export function labelledBatches(options: TrainingBatchOptions): AsyncGenerator<LabelledBatch, void, undefined> {
  const { batchSize, transform, pixels = transformHere } = options;
  const random = options.random.fork(options.epoch);
  const order = shuffledBatches(checked(options), batchSize, random.fork("order"));
  return ahead(order.length, pixels.depth, async (batch) => {
    const indices = order[batch]!;
    const images = await pixelsAt(options, indices, random.fork(`batch ${batch}`));
    return { images: imageInputs(images, transform.normalisation), labels: labelsAt(options.source, indices) };
  });
}

/** Images in the normalised range the encoder expects, and which of the source they are. */
export interface StillBatch {
  readonly images: EncoderInputs;
  readonly indices: Int32Array;
}

/**
 * Batches in the given order, the last one short, for any number of passes: the preprocessed pixels of the first
 * pass serve the later ones. The transform must not draw random numbers, as `validationTransform` does not.
 */
export function stillBatches(options: StillBatchOptions): AsyncIterable<StillBatch> {
  const { transform, pixels = transformHere, cacheBytes = PIXEL_CACHE_BYTES } = options;
  const order = batchesInOrder(checked(options), options.batchSize);
  const kept = new Map<number, PixelImage[]>();
  let bytes = 0;
  const make = async (batch: number): Promise<StillBatch> => {
    const indices = order[batch]!;
    const images = kept.get(batch) ?? await pixelsAt(options, indices, new Random("evaluation"));
    const size = images.reduce((sum, { data }) => sum + data.length, 0);
    if (!kept.has(batch) && bytes + size <= cacheBytes) {
      kept.set(batch, images);
      bytes += size;
    }
    return { images: imageInputs(images, transform.normalisation), indices };
  };
  return { [Symbol.asyncIterator]: () => ahead(order.length, pixels.depth, make) };
}

/** `stillBatches` with labels: what accuracy is measured on. */
export function evaluationBatches(options: EvaluationBatchOptions): AsyncIterable<LabelledBatch> {
  const batches = stillBatches(options);
  return {
    async *[Symbol.asyncIterator]() {
      for await (const { images, indices } of batches) yield { images, labels: labelsAt(options.source, indices) };
    },
  };
}
