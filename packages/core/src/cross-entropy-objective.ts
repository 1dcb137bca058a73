import type { Scalar, Tensor2D } from "@tensorflow/tfjs-core";
import { crossEntropy, headLogits, type ClassificationHead } from "./classification-head.js";
import type { LabelledBatch, Objective, View } from "./objective.js";
import type { ObjectiveFactory } from "./objective-factory.js";
import { z } from "zod";
import { InputError } from "./errors.js";
import { TOKENS, type Plugin } from "./plugin.js";

/** Supervised cross-entropy on the labelled images (paper, equation 6), with label smoothing. */
export class CrossEntropyObjective implements Objective<LabelledBatch> {
  readonly id = "cross-entropy";
  readonly #head: ClassificationHead;
  readonly #smoothing: number;

  constructor(head: ClassificationHead, options: { labelSmoothing?: number } = {}) {
    const { labelSmoothing = 0 } = options;
    if (!(labelSmoothing >= 0 && labelSmoothing < 1)) {
      throw new InputError({ where: "cross-entropy labelSmoothing", got: String(labelSmoothing), expected: "a number from 0 to below 1" });
    }
    this.#head = head;
    this.#smoothing = labelSmoothing;
  }

  views(batch: LabelledBatch): readonly View[] {
    return [batch.images];
  }

  loss([features]: readonly Tensor2D[], batch: LabelledBatch): Scalar {
    return crossEntropy(headLogits(this.#head, features!), batch.labels, this.#smoothing);
  }
}

const options = z.object({ labelSmoothing: z.number().min(0).lt(1).default(0) });

const factory: ObjectiveFactory = {
  id: "cross-entropy",
  create: (context) => new CrossEntropyObjective(context.heads[0]!, options.parse(context.options)),
};

/** The default objective, as a plug-in. */
export const crossEntropyPlugin: Plugin = {
  id: "cross-entropy",
  kind: "objective",
  options,
  register: (container) => { container.register(TOKENS.objective, { useValue: factory }); },
};
