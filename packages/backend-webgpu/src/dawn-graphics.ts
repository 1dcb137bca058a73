import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { GraphicsAnswer } from "./graphics.js";

const HOW_TO_INSTALL = "the package webgpu (Dawn): run `npm install webgpu`";

const WITHOUT_ADAPTER =
  "install the driver of the graphics card (on Linux its Vulkan driver and libvulkan1); without a card, SwiftShader computes on the " +
  "processor, slowly: install it (Debian's package chromium has it) and set VK_ICD_FILENAMES to the path of its vk_swiftshader_icd.json";

/** The version of an installed package, or null. */
function versionOf(name: string): string | null {
  try {
    let folder = dirname(createRequire(import.meta.url).resolve(name));
    for (;;) {
      try {
        const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name?: string; version: string };
        if (manifest.name === name) return manifest.version;
      } catch {
        // Not the package's root yet.
      }
      if (dirname(folder) === folder) return null;
      folder = dirname(folder);
    }
  } catch {
    return null;
  }
}

/** tfjs looks for WebGPU and its classes where browsers have them. */
function publish(gpu: GPU, classes: object): void {
  for (const [name, value] of Object.entries(classes)) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  // Node 20 has no navigator.
  const navigator = (globalThis as { navigator?: object }).navigator;
  if (navigator === undefined) Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true, writable: true });
  else Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
}

const devices = new Set<GPUDevice>();

/** Destroys the device before the process ends: work still under way on it would go on while Dawn is torn down, and crash. */
function destroyAtExit(device: GPUDevice): void {
  if (devices.size === 0) process.once("exit", () => devices.forEach((open) => open.destroy()));
  devices.add(device);
}

const opened = new Map<string, Promise<GraphicsAnswer>>();

async function open(flags: readonly string[]): Promise<GraphicsAnswer> {
  const version = versionOf("webgpu");
  const nothing = { gpu: null, versions: {}, withoutAdapter: WITHOUT_ADAPTER };
  if (version === null) return { ...nothing, missing: [HOW_TO_INSTALL] };
  try {
    const { create, globals } = await import("webgpu");
    const gpu = create([...flags]);
    publish(gpu, globals);
    return { gpu, versions: { webgpu: version }, missing: [], withoutAdapter: WITHOUT_ADAPTER, onDevice: destroyAtExit };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    return { ...nothing, missing: [`the package webgpu ${version} does not load on this machine (${reason})`] };
  }
}

/**
 * WebGPU of Dawn, from the npm package `webgpu`. One instance a process and list of flags.
 * @param flags of Dawn, such as `backend=vulkan` or `adapter=NVIDIA`.
 */
export function dawnGraphics(flags: readonly string[] = []): () => Promise<GraphicsAnswer> {
  const key = flags.join(" ");
  return () => {
    const known = opened.get(key) ?? open(flags);
    opened.set(key, known);
    return known;
  };
}
