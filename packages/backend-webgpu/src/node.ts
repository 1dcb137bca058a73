import type { Plugin } from "@atlas-tv/core";
import { dawnGraphics } from "./dawn-graphics.js";
import { GraphicsBackend, type WebGpuBackendOptions } from "./graphics-backend.js";
import { pluginOf } from "./plugin.js";

export { DeviceError } from "./device-error.js";

/** What Node takes beside the options that browsers have. */
export interface DawnOptions extends WebGpuBackendOptions {
  /** Flags of Dawn, such as `backend=vulkan`, or `adapter=NVIDIA` to choose an adapter by a part of its name. */
  readonly dawn?: readonly string[];
}

export type { DawnOptions as WebGpuBackendOptions };

/** The WebGPU backend on Dawn, from the npm package `webgpu`. */
export class WebGpuBackend extends GraphicsBackend {
  constructor(options: DawnOptions = {}) {
    super(dawnGraphics(options.dawn), options);
  }
}

/** Registers the WebGPU backend under `TOKENS.backend`. */
export const plugin: Plugin = pluginOf(() => new WebGpuBackend());
