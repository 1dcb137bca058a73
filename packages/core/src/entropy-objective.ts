import * as tf from "@tensorflow/tfjs-core";
import type { Scalar, Tensor2D } from "@tensorflow/tfjs-core";
import { z } from "zod";
import { headLogits, type ClassificationHead } from "./classification-head.js";
import type { View } from "./objective.js";
import { TOKENS, type Plugin } from "./plugin.js";
import type { UnlabelledBatch, UnsupervisedObjective, UnsupervisedObjectiveFactory } from "./unsupervised-objective.js";

/** Mean entropy, in nats, of the softmax of logits `(batch, C)`. */
export function meanEntropy(logits: Tensor2D): Scalar {
  return tf.tidy(() => {
    const logProbabilities = tf.logSoftmax(logits, -1);
    return tf.neg(tf.mean(tf.sum(tf.mul(tf.exp(logProbabilities), logProbabilities), -1))) as Scalar;
  });
}

/** Entropy minimisation (Grandvalet & Bengio 2004; Wang et al. 2021): the model is to be sure of its predictions, whatever they are. */
export class EntropyObjective implements UnsupervisedObjective {
  readonly id = "entropy";

  constructor(readonly head: ClassificationHead, readonly view: "weak" | "strong" = "weak") {}

  views(batch: UnlabelledBatch): readonly View[] {
    return [batch[this.view]];
  }

  loss([features]: readonly Tensor2D[]): Scalar {
    return meanEntropy(headLogits(this.head, features!));
  }
}

const options = z.strictObject({
  /** The view whose predictions are to be sure: as for evaluation, or augmented. */
  view: z.enum(["weak", "strong"]).default("weak"),
});

const factory: UnsupervisedObjectiveFactory = {
  id: "entropy",
  create: (context) => new EntropyObjective(context.heads[0]!, options.parse(context.options).view),
};

/** Entropy minimisation, as a plug-in. */
export const entropyPlugin: Plugin = {
  id: "entropy",
  kind: "unsupervised",
  options,
  register: (container) => { container.register(TOKENS.unsupervised, { useValue: factory }); },
};
