import {
  accuracyOf,
  encodeAll,
  headLogits,
  predictedLabels,
  validationTransform,
  type Accuracy,
  type ClassificationHead,
  type CompiledEncoder,
  type ComposedEncoder,
  type ImageEncoderSpec,
  type ImageSource,
  type LabelledBatch,
  type LabelledFeatures,
  type NamedArrays,
} from "@atlas-tv/core";
import { evaluationBatches } from "@atlas-tv/datasets";
import { stoppable } from "./interruption.js";
import type { LoadedModel } from "./loaded-model.js";

/** Images that are evaluated at once, at most. */
const MOST_IMAGES = 250;

/** What their temporary results may take: beside a model and its task vectors it leaves room on a laptop. */
const EVALUATION_BYTES = 2 * 2 ** 30;

/** Bytes of temporary results of one image, about, as the CPU backend foresees them for ViT-B/32, B/16, L/14 and RN50. */
function bytesOfImage(spec: ImageEncoderSpec): number {
  if (spec.family === "resnet") return 16 * spec.imageSize ** 2 * spec.width;
  return 400 * ((spec.imageSize / spec.patchSize) ** 2 + 1) * spec.width;
}

/** How many images are evaluated at once where nobody says so. */
export function imagesAtOnce(spec: ImageEncoderSpec): number {
  return Math.max(1, Math.min(MOST_IMAGES, Math.floor(EVALUATION_BYTES / bytesOfImage(spec))));
}

/** Labelled images without augmentation, and the head that names them: what accuracy is measured on, again and again. */
export class EvaluationSet {
  readonly #batches: AsyncIterable<LabelledBatch>;

  /** @param images which of the source's images, default all; and how many bytes of their pixels are kept for the next time. */
  constructor(
    { spec, normalisation }: Pick<LoadedModel, "spec" | "normalisation">,
    readonly head: ClassificationHead,
    images: { readonly source: ImageSource; readonly indices?: Int32Array; readonly cacheBytes?: number },
    signal: AbortSignal,
  ) {
    const transform = validationTransform(spec.imageSize, normalisation);
    this.#batches = stoppable(evaluationBatches({ ...images, batchSize: imagesAtOnce(spec), transform }), signal);
  }

  features(encoder: ComposedEncoder): Promise<LabelledFeatures> {
    return encodeAll(encoder, this.#batches);
  }

  /** Top-1 accuracy of features of these images. */
  classify(features: LabelledFeatures): Promise<Accuracy> {
    return accuracyOf(features, (rows) => headLogits(this.head, rows));
  }

  /** What the head says about every image. */
  async predict(encoder: ComposedEncoder): Promise<Int32Array> {
    return predictedLabels(await this.features(encoder), (rows) => headLogits(this.head, rows));
  }

  async measure(encoder: ComposedEncoder): Promise<Accuracy> {
    return this.classify(await this.features(encoder));
  }
}

/** Uses an encoder with coefficients applied, and disposes of it. */
export async function withComposed<T>(
  encoder: CompiledEncoder,
  coefficients: NamedArrays,
  use: (composed: ComposedEncoder) => Promise<T>,
): Promise<T> {
  const composed = await encoder.compose(coefficients);
  try {
    return await use(composed);
  } finally {
    composed.dispose();
  }
}

/** The coefficients among learned values: an objective's own parameters are left out. */
export function pick(values: NamedArrays, encoder: CompiledEncoder): NamedArrays {
  const names = Object.keys(encoder.composition.shapes(encoder.spec.blocks, encoder.vectorCount));
  return Object.fromEntries(names.map((name) => [name, values[name]!]));
}
