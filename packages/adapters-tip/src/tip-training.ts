import {
  crossEntropy, learnOnFeatures, unitRows,
  type ClassificationHead, type FeatureStep, type LabelledFeatures, type Random,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { cacheValues, tipLogits, type TipCache, type TipParameters } from "./tip-cache.js";

/** Peak rates and decays of the two kinds of parameter. */
export interface TipRates {
  readonly keys: number;
  /** Of β and α. */
  readonly scales: number;
  readonly keyDecay: number;
  readonly scaleDecay: number;
}

export interface TipTraining {
  readonly head: ClassificationHead;
  /** Frozen features that are trained on. */
  readonly data: LabelledFeatures;
  readonly cache: TipCache;
  readonly rates: TipRates;
  readonly steps: number;
  /** Rows of the data in step s. */
  readonly batch: (step: number) => Int32Array;
  readonly signal?: AbortSignal;
  readonly onStep?: (step: FeatureStep) => void;
}

/** Passes over the rows in shuffled order, one after the other; batches are short at the end of a pass. */
export function shuffledPasses(rows: number, batchSize: number, random: Random): (step: number) => Int32Array {
  const perPass = Math.ceil(rows / batchSize);
  let pass = -1;
  let order = new Int32Array(0);
  return (step) => {
    const current = Math.floor(step / perPass);
    if (current !== pass) {
      pass = current;
      order = new Int32Array(random.fork(`pass ${pass}`).permutation(rows));
    }
    const from = (step % perPass) * batchSize;
    return order.subarray(from, from + batchSize);
  };
}

function rowsOf(features: Float32Array, width: number, indices: Int32Array): tf.Tensor2D {
  const rows = new Float32Array(indices.length * width);
  indices.forEach((index, row) => { rows.set(features.subarray(index * width, (index + 1) * width), row * width); });
  return tf.tensor2d(rows, [indices.length, width]);
}

/** Cross-entropy on frozen features (Zhang et al. 2022, section 3.3); β and α are learned too. */
export async function trainTip({ head, data, cache, rates, batch, ...run }: TipTraining): Promise<TipParameters> {
  const { width } = data;
  const features = unitRows(data);
  const targets = cacheValues(cache.labels, head.classNames.length);
  try {
    const learned = await learnOnFeatures({
      ...run,
      what: "Tip-Adapter",
      parameters: [
        { name: "keys", shape: [cache.labels.length, width], initial: cache.keys, learningRate: rates.keys, weightDecay: rates.keyDecay },
        { name: "beta_alpha", shape: [2], initial: cache.betaAlpha, learningRate: rates.scales, weightDecay: rates.scaleDecay },
      ],
      loss: ({ keys, beta_alpha: betaAlpha }, step) => {
        const indices = batch(step);
        const logits = tipLogits(head, rowsOf(features, width, indices), keys!, betaAlpha!, targets);
        return crossEntropy(logits, indices.map((index) => data.labels[index]!));
      },
    });
    return { keys: learned["keys"]!, betaAlpha: learned["beta_alpha"]! };
  } finally {
    targets.dispose();
  }
}
