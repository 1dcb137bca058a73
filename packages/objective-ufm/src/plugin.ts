import { TOKENS, type Plugin, type UnsupervisedObjectiveFactory } from "@atlas-tv/core";
import { UfmObjective, ufmOptions } from "./ufm-objective.js";

const factory: UnsupervisedObjectiveFactory = {
  id: "ufm",
  create: (context) => new UfmObjective(context.heads[0]!, ufmOptions.parse(context.options)),
};

/** Registers unsupervised FixMatch under `TOKENS.unsupervised`. */
export const plugin: Plugin = {
  id: "ufm",
  kind: "unsupervised",
  options: ufmOptions,
  presets: {
    paper: { exponent: 0.5, confidence: "sharpened", omegaStart: 0.9, omegaEnd: 1 },
    // Its sharpening multiplies and divides by the same number, and its mark of trust falls on every image.
    released: { exponent: 1, confidence: "sharpened", omegaStart: 0.9, omegaEnd: 1, thresholdTrusted: true, selection: "released" },
  },
  register: (container) => {
    container.register(TOKENS.unsupervised, { useValue: factory });
  },
};
