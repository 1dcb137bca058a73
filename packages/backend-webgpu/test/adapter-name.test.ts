import { describe, expect, it } from "vitest";
import { adapterName } from "../src/graphics-device.js";

function info(told: Partial<GPUAdapterInfo>): GPUAdapterInfo {
  return { vendor: "", architecture: "", device: "", description: "", isFallbackAdapter: false, ...told } as GPUAdapterInfo;
}

describe("the name of an adapter", () => {
  it.each([
    ["nvidia-h200 (NVIDIA: 580.159.04 580.159.4.0)", { vendor: "nvidia", device: "nvidia-h200", description: "NVIDIA: 580.159.04 580.159.4.0" }],
    ["nvidia ampere", { vendor: "nvidia", architecture: "ampere" }],
    ["a description", { description: "a description" }],
    ["SwiftShader driver 5.0.0, which computes on the processor", { vendor: "google", device: "swiftshader-device-subzero-", description: "SwiftShader driver 5.0.0", isFallbackAdapter: true }],
    ["google swiftshader, which computes on the processor", { vendor: "google", architecture: "swiftshader", isFallbackAdapter: true }],
    ["unnamed adapter", {}],
  ])("is %s", (name, told) => {
    expect(adapterName(info(told))).toBe(name);
  });
});
