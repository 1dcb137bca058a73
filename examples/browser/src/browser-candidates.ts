import { WebGpuBackend } from "@atlas-tv/backend-webgpu";
import { PlainBackend } from "@atlas-tv/core";
import { getThreadsCount, setThreadsCount, setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import type { Candidate } from "./compute.js";

/** tfjs starts this many workers for its threads. */
const MOST_THREADS = 8;

const ONE_THREAD =
  "This page is not cross-origin isolated, so WebAssembly computes on one thread. Reload it once it works offline, or serve it " +
  "with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.";

/**
 * What a browser may compute with: WebGPU where there is a graphics adapter, WebAssembly everywhere.
 * @param wasmFolder where the .wasm files of tfjs are served.
 * @param isolated whether the page is cross-origin isolated, which threads need.
 */
export function browserCandidates(wasmFolder: string, isolated: boolean): Candidate[] {
  setWasmPaths(wasmFolder);
  setThreadsCount(Math.min(navigator.hardwareConcurrency, MOST_THREADS));
  const threads = (): string => (getThreadsCount() > 1 ? `${getThreadsCount()} threads` : "one thread");
  return [
    { id: "webgpu", title: "WebGPU", backend: new WebGpuBackend(), device: ({ device }) => device, remark: () => null },
    { id: "wasm", title: "WebAssembly", backend: new PlainBackend("wasm"), device: threads, remark: () => (isolated ? null : ONE_THREAD) },
  ];
}
