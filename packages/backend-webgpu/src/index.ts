import type { Plugin } from "@atlas-tv/core";
import { browserGraphics } from "./browser-graphics.js";
import { GraphicsBackend, type WebGpuBackendOptions } from "./graphics-backend.js";
import { pluginOf } from "./plugin.js";

export { DeviceError } from "./device-error.js";
export type { WebGpuBackendOptions };

/** The WebGPU backend on the browser's WebGPU. */
export class WebGpuBackend extends GraphicsBackend {
  constructor(options: WebGpuBackendOptions = {}) {
    super(browserGraphics, options);
  }
}

/** Registers the WebGPU backend under `TOKENS.backend`. */
export const plugin: Plugin = pluginOf(() => new WebGpuBackend());
