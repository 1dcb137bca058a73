import { TOKENS, type Plugin } from "@atlas-tv/core";
import { z } from "zod";
import { CudaBackend } from "./cuda-backend.js";

/** Set to 1, it lets the backend that is registered compute on the CPU. */
export const ALLOW_CPU_VARIABLE = "ATLAS_CUDA_ALLOW_CPU";

const options = z.strictObject({ allowCpu: z.boolean().optional(), runtime: z.string().optional(), vectors: z.enum(["device", "host"]).optional() });

/** Registers the CUDA backend under `TOKENS.backend`. */
export const plugin: Plugin = {
  id: "cuda",
  kind: "backend",
  options,
  register: (container) => {
    container.register(TOKENS.backend, { useValue: new CudaBackend({ allowCpu: process.env[ALLOW_CPU_VARIABLE] === "1" }) });
  },
};
