import { TOKENS, type Plugin } from "@atlas-tv/core";
import { tipAdapter, tipOptions } from "./tip-adapter.js";

/** Registers Tip-Adapter under `TOKENS.adapter`. */
export const plugin: Plugin = {
  id: "tip",
  kind: "adapter",
  options: tipOptions,
  presets: { paper: { jointScaleLearningRate: 0.1 }, released: { jointScaleLearningRate: 0.1, scaleWeightDecay: 0.1 } },
  register: (container) => {
    container.register(TOKENS.adapter, { useValue: tipAdapter });
  },
};
