import * as tf from "@tensorflow/tfjs-core";
import { headLogits, TOKENS, type LabelledBatch, type Objective, type ObjectiveContext, type Plugin } from "@atlas-tv/core";
import { z } from "zod";

const options = z.object({ gamma: z.number().nonnegative().default(2) });

/** Focal loss (Lin et al. 2017): −(1 − p)^γ log p of the true class; examples that are already right count less. */
export class FocalLoss implements Objective<LabelledBatch> {
  readonly id = "focal";

  constructor(private readonly context: ObjectiveContext, private readonly gamma: number) {}

  views(batch: LabelledBatch): [LabelledBatch["images"]] {
    return [batch.images];
  }

  loss([features]: readonly tf.Tensor2D[], { labels }: LabelledBatch): tf.Scalar {
    const logProbabilities = tf.logSoftmax(headLogits(this.context.heads[0]!, features!), -1);
    const truth = tf.oneHot(tf.tensor1d(labels, "int32"), logProbabilities.shape[1]!);
    const ofTruth = tf.sum(tf.mul(logProbabilities, truth), 1);
    const weight = tf.pow(tf.sub(1, tf.exp(ofTruth)), this.gamma);
    return tf.neg(tf.mean(tf.mul(weight, ofTruth))) as tf.Scalar;
  }
}

/** What `--plugin` and tsyringe take: a name, a kind, a schema, and a registration. */
export const plugin: Plugin = {
  id: "focal",
  kind: "objective",
  options,
  register: (container) => {
    container.register(TOKENS.objective, {
      useValue: { id: "focal", create: (context: ObjectiveContext) => new FocalLoss(context, options.parse(context.options).gamma) },
    });
  },
};
