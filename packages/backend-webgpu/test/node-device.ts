import { it } from "vitest";
import { findSwiftShader, hasGraphicsDriver, HOW_TO_GET_WEBGPU } from "../../../scripts/webgpu.mjs";
import { recordDevice } from "../../core/test/fixture-bytes.js";
import { WebGpuBackend } from "../src/node.js";

const swiftShader = findSwiftShader();
if (!hasGraphicsDriver() && swiftShader !== null) process.env["VK_ICD_FILENAMES"] = swiftShader;

const backend = new WebGpuBackend();
const { usable, device, missing } = await backend.probe();
if (usable) recordDevice({ backend: backend.id, device });

/** WebGPU in Node, or null. */
export const presentWebGpu = usable ? backend : null;

/** Defines tests on WebGPU in Node, or one that says why they were not run. */
export function onWebGpu(what: string, define: (backend: WebGpuBackend) => void): void {
  if (usable) define(backend);
  else it(what, ({ skip }) => skip(`${what} was not run: ${missing.join("; ")}. To run it, ${HOW_TO_GET_WEBGPU}.`));
}
