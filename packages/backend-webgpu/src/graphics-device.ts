import { InputError } from "@atlas-tv/core";
import type { Graphics } from "./graphics.js";

/** Limits of the adapter that the device is asked for in full: WebGPU gives the smallest common ones otherwise. */
const WANTED_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "maxComputeWorkgroupSizeX",
  "maxComputeInvocationsPerWorkgroup",
] as const;

/** With it, kernels can be timed. */
const TIMESTAMPS = "timestamp-query";

export interface AdapterChoice {
  readonly powerPreference?: "high-performance" | "low-power";
}

/** What an adapter is called, with its driver where that is told, and whether it is a processor in disguise. */
export function adapterName(info: GPUAdapterInfo): string {
  const { device, description } = info;
  if (info.isFallbackAdapter === true) return `${description || device || maker(info) || "unnamed adapter"}, which computes on the processor`;
  const name = device || maker(info);
  // Dawn describes a card by its driver alone.
  if (name !== "" && description !== "") return `${name} (${description})`;
  return name || description || "unnamed adapter";
}

function maker({ vendor, architecture }: GPUAdapterInfo): string {
  return `${vendor} ${architecture}`.trim();
}

/** The adapter that WebGPU offers for a choice, or null. */
export async function findAdapter(gpu: GPU, { powerPreference = "high-performance" }: AdapterChoice): Promise<GPUAdapter | null> {
  return gpu.requestAdapter({ powerPreference });
}

/**
 * Opens a device with all that its adapter can do.
 * @throws InputError when there is no WebGPU or no adapter.
 */
export async function openDevice(graphics: Graphics, choice: AdapterChoice): Promise<{ device: GPUDevice; info: GPUAdapterInfo }> {
  const { gpu, missing, withoutAdapter, onDevice } = await graphics();
  const where = 'backend "webgpu"';
  if (gpu === null) throw new InputError({ where, got: "no WebGPU", expected: missing.join("; ") });
  const adapter = await findAdapter(gpu, choice);
  if (adapter === null) throw new InputError({ where, got: "WebGPU without an adapter", expected: "a graphics card with a driver", next: withoutAdapter });
  const requiredLimits = Object.fromEntries(WANTED_LIMITS.map((limit) => [limit, adapter.limits[limit]]));
  const requiredFeatures: GPUFeatureName[] = adapter.features.has(TIMESTAMPS) ? [TIMESTAMPS] : [];
  try {
    const device = await adapter.requestDevice({ requiredLimits, requiredFeatures });
    onDevice?.(device);
    return { device, info: adapter.info };
  } catch (cause) {
    const said = cause instanceof Error ? cause.message.split("\n")[0]! : String(cause);
    throw new InputError({ where, got: `${adapterName(adapter.info)}, which gives no device (${said})`, expected: "a device", next: withoutAdapter }, { cause });
  }
}
