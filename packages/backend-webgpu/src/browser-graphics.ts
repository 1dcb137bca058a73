import type { GraphicsAnswer } from "./graphics.js";

const WITHOUT_ADAPTER =
  "switch hardware acceleration on in the browser's settings, update the graphics driver (chrome://gpu says what is missing), " +
  "or compute on another backend";

/** WebGPU of the browser that this page runs in. */
export function browserGraphics(): Promise<GraphicsAnswer> {
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu ?? null;
  const insecure = globalThis.isSecureContext === false;
  const missing = insecure
    ? "WebGPU: browsers give it to secure pages only; serve this page over https or from localhost"
    : "WebGPU: this browser has none; use a recent Chrome, Edge, Safari or Firefox, or compute on another backend";
  return Promise.resolve({ gpu, versions: {}, missing: gpu === null ? [missing] : [], withoutAdapter: WITHOUT_ADAPTER });
}
