import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { z } from "zod";
import type { AdapterContext, AdapterFactory, FittedAdapter } from "./adapter.js";
import { initAdamW, stepAdamW } from "./adamw.js";
import { normaliseRows, type ClassificationHead } from "./classification-head.js";
import { AbortedError, NonFiniteError } from "./errors.js";
import { eventLoopTurns } from "./event-loop.js";
import { checkLabelledFeatures, savedTensor, unitRows } from "./labelled-features.js";
import { TOKENS, type Plugin } from "./plugin.js";
import { cosineSchedule } from "./schedule.js";
import type { HostTensor, NamedHostTensors } from "./state-dict.js";

const options = z.object({
  steps: z.number().int().positive().default(500),
  learningRate: z.number().positive().default(0.1),
  /** λ of λ/2 ‖W‖², per mean loss; features have unit length. */
  l2: z.number().nonnegative().default(1e-3),
});

/** Mean cross-entropy of a linear classifier and its gradients, all on the host: the problem is tiny. */
function gradients(x: Float32Array, labels: Int32Array, width: number, weight: Float32Array, bias: Float32Array, l2: number): { loss: number; weight: Float32Array; bias: Float32Array } {
  const classes = bias.length;
  const rows = labels.length;
  const dWeight = weight.map((value) => l2 * value);
  const dBias = new Float32Array(classes);
  const logits = new Float64Array(classes);
  let loss = 0;
  for (let r = 0; r < rows; r++) {
    let top = -Infinity;
    for (let c = 0; c < classes; c++) {
      let sum = bias[c]!;
      for (let i = 0; i < width; i++) sum += x[r * width + i]! * weight[c * width + i]!;
      logits[c] = sum;
      top = Math.max(top, sum);
    }
    let total = 0;
    for (let c = 0; c < classes; c++) total += Math.exp(logits[c]! - top);
    loss += Math.log(total) + top - logits[labels[r]!]!;
    for (let c = 0; c < classes; c++) {
      const delta = (Math.exp(logits[c]! - top) / total - (c === labels[r] ? 1 : 0)) / rows;
      dBias[c]! += delta;
      for (let i = 0; i < width; i++) dWeight[c * width + i]! += delta * x[r * width + i]!;
    }
  }
  return { loss: loss / rows, weight: dWeight, bias: dBias };
}

function fitted(weight: Float32Array, bias: Float32Array, width: number): FittedAdapter {
  const classes = bias.length;
  return {
    logits: (features: Tensor2D) => tf.tidy(() => {
      const transposed = tf.transpose(tf.tensor2d(weight, [classes, width])) as Tensor2D;
      return tf.add(tf.matMul(normaliseRows(features), transposed), tf.tensor1d(bias)) as Tensor2D;
    }),
    state: () => new Map<string, HostTensor>([
      ["weight", { dtype: "F32", shape: [classes, width], data: weight }],
      ["bias", { dtype: "F32", shape: [classes], data: bias }],
    ]),
  };
}

/**
 * Multinomial logistic regression on frozen unit features: the linear probe of CLIP (Radford et al. 2021,
 * section 3.1), the baseline that uses the labels and nothing of the text side.
 */
export const linearProbe: AdapterFactory = {
  id: "linear",

  async fit({ head, shots, options: given, signal, onProgress }: AdapterContext): Promise<FittedAdapter> {
    const { steps, learningRate, l2 } = options.parse(given);
    const classes = head.classNames.length;
    const { width, labels } = shots;
    checkLabelledFeatures(shots, head, "linear probe");
    const x = unitRows(shots);
    const values = { weight: new Float32Array(classes * width), bias: new Float32Array(classes) };
    const schedule = cosineSchedule();
    const turn = eventLoopTurns();
    let state = initAdamW(values);
    for (let step = 0; step < steps; step++) {
      await turn();
      if (signal?.aborted === true) throw new AbortedError("stopped while the linear probe was fitted");
      const { loss, ...own } = gradients(x, labels, width, values.weight, values.bias, l2);
      if (!Number.isFinite(loss)) throw new NonFiniteError(`linear probe: the loss is ${loss} at step ${step + 1}. Try a lower learning rate.`);
      state = stepAdamW(values, own, state, learningRate * schedule(step, steps), { weightDecay: 0 });
      onProgress?.(step + 1, steps, loss);
    }
    return fitted(values.weight, values.bias, width);
  },

  restore(state: NamedHostTensors, head: ClassificationHead): FittedAdapter {
    const classes = head.classNames.length;
    const where = "saved linear probe";
    const weight = savedTensor(state, "weight", [classes, head.width], where).data;
    return fitted(weight, savedTensor(state, "bias", [classes], where).data, head.width);
  },
};

/** The linear probe as a plug-in. */
export const linearProbePlugin: Plugin = {
  id: "linear",
  kind: "adapter",
  options,
  register: (container) => { container.register(TOKENS.adapter, { useValue: linearProbe }); },
};
