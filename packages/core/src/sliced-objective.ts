import * as tf from "@tensorflow/tfjs-core";
import type { Scalar, Tensor2D } from "@tensorflow/tfjs-core";
import { crossEntropy, headLogits, type ClassificationHead } from "./classification-head.js";
import { InputError } from "./errors.js";
import type { EncoderInputs, Objective, View } from "./objective.js";

/** Images of several data sets, one after the other. */
export interface SlicedBatch {
  readonly images: EncoderInputs;
  /** The labels of each slice; together as many as there are images. */
  readonly labels: readonly Int32Array[];
}

/** One data set's share of a batch. */
export interface Slice {
  readonly head: ClassificationHead;
  /** Of its cross-entropy in the loss; negative to forget. */
  readonly weight: number;
}

/**
 * Σ wₛ · CEₛ over consecutive slices of one batch, each with a head of its own: negation with the weights −1 and 1,
 * addition with 1 for every task (paper, sections 4.1 and 4.2). The batch passes through the encoder once.
 */
export class SlicedCrossEntropyObjective implements Objective<SlicedBatch> {
  readonly id = "sliced-cross-entropy";

  constructor(readonly slices: readonly Slice[]) {
    if (slices.length === 0) throw new InputError({ where: this.id, got: "no slices", expected: "at least one head" });
  }

  views({ images }: SlicedBatch): readonly View[] {
    return [images];
  }

  /** The mean cross-entropy of every slice, from features `(batch, D)`. */
  entropies(features: Tensor2D, { labels }: SlicedBatch): Scalar[] {
    const counts = labels.map(({ length }) => length);
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (counts.length !== this.slices.length || total !== features.shape[0] || counts.includes(0)) {
      throw new InputError({
        where: `batch of ${this.id}`,
        got: `slices of ${counts.join(", ")} labels for ${features.shape[0]} images`,
        expected: `${this.slices.length} slices that are not empty, with a label for every image`,
      });
    }
    let from = 0;
    return labels.map((own, index) => {
      const part = tf.slice2d(features, [from, 0], [own.length, -1]);
      from += own.length;
      return crossEntropy(headLogits(this.slices[index]!.head, part), own);
    });
  }

  loss([features]: readonly Tensor2D[], batch: SlicedBatch): Scalar {
    const weighted = this.entropies(features!, batch).map((entropy, index) => tf.mul(entropy, this.slices[index]!.weight));
    return tf.addN(weighted) as Scalar;
  }
}
