import { getGradient, registerGradient } from "@tensorflow/tfjs-core";
import { gradientConfigs } from "../generated/tfjs-gradients.js";

let registered = false;

/**
 * Makes tfjs-core's operations differentiable; its main entry registers no gradients by itself. Idempotent.
 * A gradient that is already registered, by `@tensorflow/tfjs` or by you, is kept.
 */
export function registerGradients(): void {
  if (registered) return;
  for (const config of gradientConfigs) if (getGradient(config.kernelName) == null) registerGradient(config);
  registered = true;
}
