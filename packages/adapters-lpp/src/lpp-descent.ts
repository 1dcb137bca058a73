import { AbortedError, crossEntropy, eventLoopTurns, learnOnFeatures, lossAndGradients, NonFiniteError, unitRows, type ClassificationHead, type FeatureStep, type LabelledFeatures, type NamedTensors } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Scalar, Tensor2D } from "@tensorflow/tfjs-core";
import { lppLogits, lppShapes, textEmbeddings, type LppParameters } from "./lpp-model.js";
import type { LppStart } from "./lpp-initial.js";

/** Of weight and bias. */
const MOMENTUM = 0.9;

export interface LppTraining {
  readonly head: ClassificationHead;
  readonly shots: LabelledFeatures;
  readonly start: LppStart;
  readonly epochs: number;
  readonly signal?: AbortSignal;
}

/** Cross-entropy on rows of the frozen features. */
class ShotLoss {
  readonly #unit: Tensor2D;
  readonly #text: Tensor2D;

  constructor(readonly head: ClassificationHead, readonly shots: LabelledFeatures) {
    const { width, labels } = shots;
    this.#unit = tf.tensor2d(unitRows(shots), [labels.length, width]);
    const text = tf.tensor2d(textEmbeddings(head).unit, [head.classNames.length, width]);
    this.#text = tf.tidy(() => tf.matMul(this.#unit, tf.transpose(text) as Tensor2D));
    text.dispose();
  }

  of(parameters: NamedTensors, rows?: Int32Array): Scalar {
    const { labels } = this.shots;
    if (rows === undefined) return crossEntropy(lppLogits(this.#unit, this.#text, parameters), labels);
    const at = tf.tensor1d(rows, "int32");
    const logits = lppLogits(tf.gather(this.#unit, at), tf.gather(this.#text, at), parameters);
    return crossEntropy(logits, rows.map((row) => labels[row]!));
  }

  dispose(): void {
    tf.dispose([this.#unit, this.#text]);
  }
}

function copyOf({ weight, bias, alpha }: LppParameters): LppParameters {
  return { weight: weight.slice(), bias: bias.slice(), alpha: alpha.slice() };
}

/** An epoch that was taken. */
export interface LppEpoch {
  /** 1-based. */
  readonly epoch: number;
  /** Before the step. */
  readonly loss: number;
  /** After the step; the next one changes them. */
  readonly parameters: LppParameters;
}

export interface BlockwiseDescent extends LppTraining {
  /** Epochs between two steps of α. */
  readonly alphaInterval: number;
  /** The gradient that α steps along: that of its epoch, or, as the authors' code never resets it, the sum of all so far. */
  readonly alphaGradient: "current" | "accumulated";
  readonly onEpoch?: (epoch: LppEpoch) => void;
}

/**
 * Full-batch descent in blocks with the shots' own step sizes: momentum on weight and bias every epoch, a plain step
 * of α every `alphaInterval` epochs (Huang et al. 2024, section 3.2, and their code).
 */
export async function descendBlockwise(training: BlockwiseDescent): Promise<LppParameters> {
  const { head, shots, start, epochs, alphaInterval, alphaGradient, signal, onEpoch } = training;
  const parameters = copyOf(start.parameters);
  const shapes = lppShapes(head);
  const velocity = { weight: new Float32Array(parameters.weight.length), bias: new Float32Array(parameters.bias.length) };
  const total = new Float64Array(parameters.alpha.length);
  const loss = new ShotLoss(head, shots);
  const turn = eventLoopTurns();
  try {
    for (let epoch = 1; epoch <= epochs; epoch++) {
      await turn();
      if (signal?.aborted === true) throw new AbortedError("stopped while LP++ was fitted");
      const extra = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape, values: parameters[name as keyof LppParameters] }]));
      const result = await lossAndGradients([], (_features, tensors) => loss.of(tensors), extra);
      if (!Number.isFinite(result.loss)) throw new NonFiniteError(`LP++: the loss is ${result.loss} in epoch ${epoch}`);
      for (const name of ["weight", "bias"] as const) {
        const own = velocity[name];
        const gradient = result.extra[name]!;
        for (let i = 0; i < own.length; i++) {
          own[i] = MOMENTUM * own[i]! + gradient[i]!;
          parameters[name][i]! -= start.weightRate * own[i]!;
        }
      }
      const gradient = result.extra["alpha"]!;
      gradient.forEach((value, c) => { total[c] = alphaGradient === "accumulated" ? total[c]! + value : value; });
      if (epoch % alphaInterval === 0) total.forEach((value, c) => { parameters.alpha[c]! -= start.alphaRate * value; });
      onEpoch?.({ epoch, loss: result.loss, parameters });
    }
  } finally {
    loss.dispose();
  }
  return parameters;
}

export interface AdamWDescent extends Omit<LppTraining, "epochs"> {
  readonly steps: number;
  /** Rows of the shots in step s. */
  readonly batch: (step: number) => Int32Array;
  readonly learnAlpha: boolean;
  readonly onStep?: (step: FeatureStep) => void;
}

/**
 * AdamW with the step size of weight and bias as its rate, on batches: what the released aTLAS code does. That rate is
 * meant for gradient descent and moves every weight by several units a step: for comparison only.
 */
export async function descendAdamW({ head, shots, start, learnAlpha, batch, ...run }: AdamWDescent): Promise<LppParameters> {
  const shapes = lppShapes(head);
  const names = (["weight", "bias", "alpha"] as const).filter((name) => learnAlpha || name !== "alpha");
  const loss = new ShotLoss(head, shots);
  const alpha = tf.tensor1d(start.parameters.alpha);
  try {
    const learned = await learnOnFeatures({
      ...run,
      what: "LP++",
      parameters: names.map((name) => ({ name, shape: shapes[name], initial: start.parameters[name], learningRate: start.weightRate })),
      loss: (tensors, step) => loss.of({ alpha, ...tensors }, batch(step)),
    });
    return { ...copyOf(start.parameters), ...learned };
  } finally {
    alpha.dispose();
    loss.dispose();
  }
}
