import { TOKENS, type Backend, type Plugin } from "@atlas-tv/core";
import { z } from "zod";

const options = z.strictObject({ powerPreference: z.enum(["high-performance", "low-power"]).optional() });

/** The plug-in that registers a WebGPU backend under `TOKENS.backend`. */
export function pluginOf(backend: () => Backend): Plugin {
  return {
    id: "webgpu",
    kind: "backend",
    options,
    register: (container) => {
      container.register(TOKENS.backend, { useValue: backend() });
    },
  };
}
