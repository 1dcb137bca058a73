import {
  checkLabelledFeatures, crossEntropy,
  type AdapterContext, type AdapterFactory, type ClassificationHead, type FittedAdapter, type JointAdapter, type LabelledBatch,
  type NamedHostTensors, type Objective, type TrainableParameter,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { z } from "zod";
import { cacheValues, initialCache, restoredCache, savedCache, tipLogits, type TipCache } from "./tip-cache.js";
import { shuffledPasses, trainTip } from "./tip-training.js";

const nonNegative = z.number().nonnegative();

/** Options of the adapter. In the paper's joint mode β and α move at the rate of λ (section 4.3); here at that of the keys. */
export const tipOptions = z.strictObject({
  /** Peak rate of the keys. */
  learningRate: z.number().positive().default(1e-3),
  /** Peak rate of β and α on frozen features; default the keys'. */
  scaleLearningRate: z.number().positive().optional(),
  /** Peak rate of β and α learned jointly. At the paper's 0.1 a few shots' cache learns them by heart. */
  jointScaleLearningRate: z.number().positive().default(1e-3),
  weightDecay: nonNegative.default(0.1),
  /** Decay of β and α. They are scales, not weights: 0 by default. */
  scaleWeightDecay: nonNegative.default(0),
  /** Steps on frozen features: 20 epochs of at least ten batches. */
  epochs: z.int().positive().default(20),
  batchSize: z.int().positive().default(64),
});

/** Batches of an epoch on few shots, as in few-shot learning of the coefficients. */
const LEAST_BATCHES = 10;

function fitted(cache: TipCache, head: ClassificationHead): FittedAdapter {
  const { keys, betaAlpha, labels } = cache;
  return {
    logits: (features) => tf.tidy(() => {
      const values = cacheValues(labels, head.classNames.length);
      return tipLogits(head, features, tf.tensor2d(keys, [labels.length, head.width]), tf.tensor1d(betaAlpha), values);
    }),
    state: () => savedCache(cache),
  };
}

/** Cross-entropy of the composed encoder's features through head and cache; keys, β and α are learned beside λ. */
class TipObjective implements Objective<LabelledBatch> {
  readonly id = "tip";

  constructor(readonly head: ClassificationHead, readonly labels: Int32Array, readonly parameters: readonly TrainableParameter[]) {}

  views({ images }: LabelledBatch): [LabelledBatch["images"]] {
    return [images];
  }

  loss([features]: readonly tf.Tensor2D[], { labels }: LabelledBatch, { keys, beta_alpha: betaAlpha }: Readonly<Record<string, tf.Tensor>>): tf.Scalar {
    const values = cacheValues(this.labels, this.head.classNames.length);
    return crossEntropy(tipLogits(this.head, features!, keys!, betaAlpha!, values), labels);
  }
}

/** Tip-Adapter, the fine-tuned variant (Zhang et al. 2022), with β and α learned (aTLAS, section 4.3). */
export const tipAdapter: AdapterFactory = {
  id: "tip",

  async fit({ head, shots, options, random, signal, onProgress }: AdapterContext): Promise<FittedAdapter> {
    const { learningRate, scaleLearningRate = learningRate, weightDecay, scaleWeightDecay, epochs, batchSize } = tipOptions.parse(options);
    checkLabelledFeatures(shots, head, "Tip-Adapter");
    const cache = initialCache(shots);
    const steps = epochs * Math.max(LEAST_BATCHES, Math.ceil(shots.labels.length / batchSize));
    const learned = await trainTip({
      head, data: shots, cache, steps,
      rates: { keys: learningRate, scales: scaleLearningRate, keyDecay: weightDecay, scaleDecay: scaleWeightDecay },
      batch: shuffledPasses(shots.labels.length, batchSize, random),
      onStep: ({ step, loss }) => onProgress?.(step + 1, steps, loss),
      ...(signal === undefined ? {} : { signal }),
    });
    return fitted({ ...learned, labels: shots.labels }, head);
  },

  restore(state: NamedHostTensors, head: ClassificationHead): FittedAdapter {
    return fitted(restoredCache(state, head), head);
  },

  joint({ head, shots, options }: AdapterContext): JointAdapter {
    const { learningRate, jointScaleLearningRate, weightDecay, scaleWeightDecay } = tipOptions.parse(options);
    checkLabelledFeatures(shots, head, "Tip-Adapter");
    const { keys, betaAlpha, labels } = initialCache(shots);
    const parameters: readonly TrainableParameter[] = [
      { name: "keys", shape: [labels.length, shots.width], initial: keys, learningRate, weightDecay },
      { name: "beta_alpha", shape: [2], initial: betaAlpha, learningRate: jointScaleLearningRate, weightDecay: scaleWeightDecay },
    ];
    return {
      objective: new TipObjective(head, labels, parameters),
      fitted: (values) => fitted({ keys: values["keys"]!, betaAlpha: values["beta_alpha"]!, labels }, head),
    };
  },
};
