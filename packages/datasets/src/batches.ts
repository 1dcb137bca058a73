import {
  imageInputs, InputError, Random, type ImageSource, type ImageTransform, type LabelledBatch, type PixelImage,
} from "@atlas-tv/core";
import { batchesInOrder, shuffledBatches } from "./batch-order.js";

/** Bytes of preprocessed pixels that repeated evaluation keeps: 10,000 images of 32 × 32 take a tenth of it. */
export const PIXEL_CACHE_BYTES = 256 * 2 ** 20;

export interface BatchOptions {
  readonly source: ImageSource;
  /** Which images of the source, default all; an index may occur more than once. */
  readonly indices?: Int32Array;
  readonly batchSize: number;
  readonly transform: ImageTransform;
}

export interface TrainingBatchOptions extends BatchOptions {
  /** Order and augmentation of an epoch depend on this generator's seed and the epoch alone. */
  readonly random: Random;
  readonly epoch: number;
}

export interface EvaluationBatchOptions extends BatchOptions {
  /** Most bytes of preprocessed pixels kept for the next pass. Default `PIXEL_CACHE_BYTES`. */
  readonly cacheBytes?: number;
}

function allOf(source: ImageSource): Int32Array {
  return Int32Array.from({ length: source.length }, (_, index) => index);
}

function checked({ source, indices = allOf(source) }: BatchOptions): Int32Array {
  const wrong = indices.find((index) => index < 0 || index >= source.length);
  if (wrong === undefined) return indices;
  throw new InputError({ where: `batches of ${source.name}`, got: `index ${wrong}`, expected: `0 to ${source.length - 1}` });
}

function labelsAt(source: ImageSource, indices: Int32Array): Int32Array {
  return indices.map((index) => source.labels[index]!);
}

/** Decodes a batch, all images at once where decoding is concurrent, then transforms it in order. */
async function build(
  options: BatchOptions,
  indices: Int32Array,
  pixels: (images: PixelImage[]) => PixelImage[],
): Promise<LabelledBatch> {
  const { source, transform } = options;
  const images = await Promise.all(Array.from(indices, (index) => source.image(index)));
  return { images: imageInputs(pixels(images), transform.normalisation), labels: labelsAt(source, indices) };
}

/**
 * Runs `make` for 0 … count − 1 with the next result in the making while the consumer works on the current one.
 * The next one starts in a task of its own, so that it fills the time the consumer waits for the backend.
 */
async function* oneAhead<T>(count: number, make: (index: number) => Promise<T>): AsyncGenerator<T, void, undefined> {
  let next = count > 0 ? make(0) : null;
  for (let index = 1; next !== null; index++) {
    const current = await next;
    next = index < count ? new Promise<void>((resume) => setTimeout(resume, 0)).then(() => make(index)) : null;
    // A consumer that stops early never awaits this one.
    next?.catch(() => undefined);
    yield current;
  }
}

/**
 * The training batches of one epoch: shuffled, augmented, the last one short. Same seed and epoch, same bytes.
 * @throws InputError for an index outside the source or a batch size below 1.
 */
export function labelledBatches(options: TrainingBatchOptions): AsyncGenerator<LabelledBatch, void, undefined> {
  const { batchSize, transform } = options;
  const random = options.random.fork(options.epoch);
  const order = shuffledBatches(checked(options), batchSize, random.fork("order"));
  return oneAhead(order.length, (batch) => {
    const draws = random.fork(`batch ${batch}`);
    return build(options, order[batch]!, (images) => images.map((image) => transform.pixels(image, draws)));
  });
}

/**
 * Batches in the given order, the last one short, for any number of passes: the preprocessed pixels of the first
 * pass serve the later ones. The transform must not draw random numbers, as `validationTransform` does not.
 */
export function evaluationBatches(options: EvaluationBatchOptions): AsyncIterable<LabelledBatch> {
  const { transform, cacheBytes = PIXEL_CACHE_BYTES } = options;
  const order = batchesInOrder(checked(options), options.batchSize);
  const kept = new Map<number, PixelImage[]>();
  let bytes = 0;
  const still = new Random("evaluation");
  const make = async (batch: number): Promise<LabelledBatch> => {
    const indices = order[batch]!;
    const known = kept.get(batch);
    if (known !== undefined) {
      return { images: imageInputs(known, transform.normalisation), labels: labelsAt(options.source, indices) };
    }
    return build(options, indices, (images) => {
      const pixels = images.map((image) => transform.pixels(image, still));
      const size = pixels.reduce((sum, { data }) => sum + data.length, 0);
      if (!kept.has(batch) && bytes + size <= cacheBytes) {
        kept.set(batch, pixels);
        bytes += size;
      }
      return pixels;
    });
  };
  return { [Symbol.asyncIterator]: () => oneAhead(order.length, make) };
}
