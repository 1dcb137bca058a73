import { TOKENS, type Plugin } from "@atlas-tv/core";
import { z } from "zod";
import { CpuBackend } from "./cpu-backend.js";

const options = z.strictObject({ threads: z.number().int().positive().optional(), memoryLimit: z.number().positive().optional() });

/** Registers the CPU backend under `TOKENS.backend`. */
export const plugin: Plugin = {
  id: "cpu",
  kind: "backend",
  options,
  register: (container) => {
    container.register(TOKENS.backend, { useValue: new CpuBackend() });
  },
};
