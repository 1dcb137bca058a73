import { TOKENS, type Plugin } from "@atlas-tv/core";
import { lppAdapter, lppOptions } from "./lpp-adapter.js";

/** Registers LP++ under `TOKENS.adapter`. */
export const plugin: Plugin = {
  id: "lpp",
  kind: "adapter",
  options: lppOptions,
  presets: { released: { optimiser: "adamw", learnAlpha: false } },
  register: (container) => {
    container.register(TOKENS.adapter, { useValue: lppAdapter });
  },
};
