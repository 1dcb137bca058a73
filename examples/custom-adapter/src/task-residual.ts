import * as tf from "@tensorflow/tfjs-core";
import {
  checkLabelledFeatures, crossEntropy, learnOnFeatures, normaliseRows, savedTensor, TOKENS,
  type AdapterContext, type AdapterFactory, type ClassificationHead, type FittedAdapter, type LabelledBatch, type Objective, type Plugin, type TrainableParameter,
} from "@atlas-tv/core";
import { z } from "zod";

const options = z.strictObject({
  /** Of the residual beside the text embeddings; α in the paper. */
  scale: z.number().positive().default(0.5),
  /** Peak rate of the residual. */
  learningRate: z.number().positive().default(2e-3),
  steps: z.int().positive().default(200),
});

/** Logits `(batch, C)` of features `(batch, D)`: the head's text embeddings t become t + α r, times the head's own scale. */
function residualLogits(head: ClassificationHead, features: tf.Tensor2D, residual: tf.Tensor, scale: number): tf.Tensor2D {
  return tf.tidy(() => {
    const text = tf.tensor2d(head.weight, [head.classNames.length, head.width]);
    const moved = tf.add(text, tf.mul(residual, tf.mul(scale, tf.norm(text, 2, 1, true))));
    return tf.matMul(normaliseRows(features), tf.transpose(moved) as tf.Tensor2D) as tf.Tensor2D;
  });
}

function fitted(head: ClassificationHead, residual: Float32Array, scale: number): FittedAdapter {
  const shape: [number, number] = [head.classNames.length, head.width];
  return {
    logits: (features) => tf.tidy(() => residualLogits(head, features, tf.tensor2d(residual, shape), scale)),
    state: () => new Map([
      ["residual", { dtype: "F32", shape, data: residual }],
      ["scale", { dtype: "F32", shape: [1], data: Float32Array.of(scale) }],
    ]),
  };
}

function residualOf(head: ClassificationHead, learningRate: number): TrainableParameter & { readonly learningRate: number } {
  const shape = [head.classNames.length, head.width];
  return { name: "residual", shape, initial: new Float32Array(head.weight.length), learningRate, weightDecay: 0 };
}

/** Cross-entropy of the composed encoder's features, with a residual that is learned beside the coefficients. */
class ResidualObjective implements Objective<LabelledBatch> {
  readonly id = "task-residual";

  constructor(readonly head: ClassificationHead, readonly scale: number, readonly parameters: readonly TrainableParameter[]) {}

  views({ images }: LabelledBatch): [LabelledBatch["images"]] {
    return [images];
  }

  loss([features]: readonly tf.Tensor2D[], { labels }: LabelledBatch, { residual }: Readonly<Record<string, tf.Tensor>>): tf.Scalar {
    return crossEntropy(residualLogits(this.head, features!, residual!, this.scale), labels);
  }
}

/** TaskRes (Yu et al., CVPR 2023): a residual r on every class's text embedding, from 0; the text side itself stays. */
export const taskResidual: AdapterFactory = {
  id: "task-residual",

  async fit({ head, shots, options: given, signal, onProgress }: AdapterContext): Promise<FittedAdapter> {
    const { scale, learningRate, steps } = options.parse(given);
    checkLabelledFeatures(shots, head, "task residual");
    const { features, width, labels } = shots;
    const learned = await learnOnFeatures({
      what: "task residual",
      parameters: [residualOf(head, learningRate)],
      loss: ({ residual }) => crossEntropy(residualLogits(head, tf.tensor2d(features, [labels.length, width]), residual!, scale), labels),
      steps,
      onStep: ({ step, loss }) => onProgress?.(step + 1, steps, loss),
      signal,
    });
    return fitted(head, learned["residual"]!, scale);
  },

  restore(state, head): FittedAdapter {
    const residual = savedTensor(state, "residual", [head.classNames.length, head.width], "saved task residual").data;
    return fitted(head, residual, savedTensor(state, "scale", [1], "saved task residual").data[0]!);
  },

  joint({ head, options: given }: AdapterContext) {
    const { scale, learningRate } = options.parse(given);
    return {
      objective: new ResidualObjective(head, scale, [residualOf(head, learningRate)]),
      fitted: (values) => fitted(head, values["residual"]!, scale),
    };
  },
};

/** What `--plugin` and tsyringe take: a name, a kind, a schema, and a registration. */
export const plugin: Plugin = {
  id: "task-residual",
  kind: "adapter",
  options,
  register: (container) => {
    container.register(TOKENS.adapter, { useValue: taskResidual });
  },
};
