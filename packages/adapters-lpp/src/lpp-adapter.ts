import {
  checkLabelledFeatures,
  type AdapterContext, type AdapterFactory, type ClassificationHead, type FittedAdapter, type NamedHostTensors, type Random,
} from "@atlas-tv/core";
import { z } from "zod";
import { descendAdamW, descendBlockwise } from "./lpp-descent.js";
import { lppStart } from "./lpp-initial.js";
import { classify, restoredParameters, savedParameters, type LppParameters } from "./lpp-model.js";

/** Options of the adapter; the defaults are its authors', without the gradient that their code forgets to reset. */
export const lppOptions = z.strictObject({
  epochs: z.int().positive().default(300),
  /** "adamw": as in the released aTLAS code, where the step size of descent is AdamW's rate. */
  optimiser: z.enum(["blockwise", "adamw"]).default("blockwise"),
  alphaGradient: z.enum(["current", "accumulated"]).default("current"),
  /** Epochs between two steps of α. */
  alphaInterval: z.int().positive().default(10),
  /** With AdamW: whether α is among what it moves. */
  learnAlpha: z.boolean().default(true),
  /** Of AdamW. */
  batchSize: z.int().positive().default(64),
});

function fitted(head: ClassificationHead, parameters: LppParameters): FittedAdapter {
  return { logits: (features) => classify(head, parameters, features), state: () => savedParameters(head, parameters) };
}

/** Batches of each epoch in a new order. */
function shuffled(rows: number, batchSize: number, random: Random): (step: number) => Int32Array {
  const perEpoch = Math.ceil(rows / batchSize);
  return (step) => {
    const order = random.fork(Math.floor(step / perEpoch)).permutation(rows);
    const from = (step % perEpoch) * batchSize;
    return order.subarray(from, from + batchSize);
  };
}

/** LP++ (Huang et al. 2024): a linear classifier that blends the text embeddings in. */
export const lppAdapter: AdapterFactory = {
  id: "lpp",

  async fit({ head, shots, options, random, signal, onProgress }: AdapterContext): Promise<FittedAdapter> {
    const { epochs, optimiser, batchSize, ...blockwise } = lppOptions.parse(options);
    checkLabelledFeatures(shots, head, "LP++");
    const rows = shots.labels.length;
    const training = { head, shots, start: lppStart(head, shots), ...(signal === undefined ? {} : { signal }) };
    if (optimiser === "blockwise") {
      const onEpoch = ({ epoch, loss }: { epoch: number; loss: number }): void => onProgress?.(epoch, epochs, loss);
      return fitted(head, await descendBlockwise({ ...training, ...blockwise, epochs, onEpoch }));
    }
    const steps = epochs * Math.ceil(rows / batchSize);
    return fitted(head, await descendAdamW({
      ...training,
      steps,
      batch: shuffled(rows, batchSize, random),
      learnAlpha: blockwise.learnAlpha,
      onStep: ({ step, loss }) => onProgress?.(step + 1, steps, loss),
    }));
  },

  restore(state: NamedHostTensors, head: ClassificationHead): FittedAdapter {
    return fitted(head, restoredParameters(state, head));
  },
};
