import type { EncodedImage, ImageSource, PixelImage } from "./image-source.js";
import type { EncoderInputs, Objective } from "./objective.js";
import type { ObjectiveContext } from "./objective-factory.js";

/** Images without labels: nothing leads from here to a label. */
export interface UnlabelledSource {
  readonly name: string;
  readonly length: number;
  image(index: number): Promise<PixelImage>;
  /** As in `ImageSource`. */
  encoded?(index: number): Promise<EncodedImage>;
}

/** The images of a labelled source alone. */
export function withoutLabels(source: ImageSource): UnlabelledSource {
  const encoded = source.encoded?.bind(source);
  return {
    name: source.name,
    length: source.length,
    image: (index) => source.image(index),
    ...(encoded === undefined ? {} : { encoded }),
  };
}

/** Images without labels, each in two views, in the normalised range the encoder expects. */
export interface UnlabelledBatch {
  /** As for evaluation. */
  readonly weak: EncoderInputs;
  /** Augmented. */
  readonly strong: EncoderInputs;
  /** The pseudo-label of each image that the epoch trusts, −1 for the others. */
  readonly trusted: Int32Array;
}

/** What the model itself says about all images. */
export interface Predictions {
  /** N × C, row-major; rows sum to 1. */
  readonly probabilities: Float32Array;
  /** C */
  readonly classes: number;
}

/** Images whose pseudo-labels an epoch takes for true, in ascending order. */
export interface TrustedSet {
  readonly indices: Int32Array;
  /** One class index per image. */
  readonly labels: Int32Array;
  /** What a quarter of each batch is drawn from; an image that is named twice comes up twice as often. Default: `indices`. */
  readonly quarter?: Int32Array;
}

/** What learning without labels minimises. */
export interface UnsupervisedObjective extends Objective<UnlabelledBatch> {
  /** The images to trust, asked for at the start of every epoch. Absent: every image counts the same. */
  trust?(predictions: Predictions): TrustedSet;
  /** Whose predictions `trust` is given: those of the model as it is by then (default), or always the pre-trained one's. */
  readonly trusts?: "current" | "initial";
}

/** Registered under `TOKENS.unsupervised`; makes an objective for a run without labels. */
export interface UnsupervisedObjectiveFactory {
  readonly id: string;
  create(context: ObjectiveContext): UnsupervisedObjective;
}
