import { InputError } from "@atlas-tv/core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { WebGpuBackend } from "../src/index.js";

afterEach(() => vi.unstubAllGlobals());

describe("in a browser", () => {
  it("without WebGPU, probe and activate say which browsers have it", async () => {
    vi.stubGlobal("navigator", {});
    const backend = new WebGpuBackend();
    const { usable, missing } = await backend.probe();
    expect(usable).toBe(false);
    expect(missing).toEqual([expect.stringMatching(/this browser has none; use a recent Chrome, Edge, Safari or Firefox/)]);
    await expect(backend.activate()).rejects.toThrow(InputError);
    await expect(backend.activate()).rejects.toThrow(/no WebGPU[\s\S]*another backend/);
  });

  it("on a page that is not secure, they say how to serve it", async () => {
    vi.stubGlobal("navigator", {});
    vi.stubGlobal("isSecureContext", false);
    expect((await new WebGpuBackend().probe()).missing).toEqual([expect.stringMatching(/https or from localhost/)]);
  });

  it("without an adapter, they say what to switch on", async () => {
    vi.stubGlobal("navigator", { gpu: { requestAdapter: () => Promise.resolve(null) } });
    const { usable, missing } = await new WebGpuBackend().probe();
    expect(usable).toBe(false);
    expect(missing.join()).toMatch(/hardware acceleration/);
    await expect(new WebGpuBackend().activate()).rejects.toThrow(/without an adapter[\s\S]*hardware acceleration/);
  });
});
