import { InputError, type Backend, type BackendReport } from "@atlas-tv/core";
import { describe, expect, it } from "vitest";
import { chooseCompute, type Candidate } from "../src/compute.js";

function candidate(id: Candidate["id"], report: Partial<BackendReport>, activate: () => Promise<void> = () => Promise.resolve()): Candidate {
  const full = { usable: true, device: "a device", versions: {}, missing: [], ...report };
  const backend: Backend = { id, probe: () => Promise.resolve(full), activate, compile: () => Promise.reject(new Error("not asked for")) };
  return { id, title: id, backend, device: ({ device }) => device, remark: () => (id === "wasm" ? "one thread" : null) };
}

const wasm = candidate("wasm", {});
const absent = candidate("webgpu", { usable: false, missing: ["WebGPU: this browser has none"] });

describe("what is computed with", () => {
  it("is the first candidate that is usable", async () => {
    expect(await chooseCompute("automatic", [candidate("webgpu", { device: "a card" }), wasm])).toMatchObject({ device: "webgpu, a card", remarks: [] });
  });

  it("is the next one where a candidate is not, and the page learns why", async () => {
    const { backend, remarks } = await chooseCompute("automatic", [absent, wasm]);
    expect(backend).toBe(wasm.backend);
    expect(remarks).toEqual(["webgpu is not used. It lacks WebGPU: this browser has none.", "one thread"]);
  });

  it("is never an emulated graphics card unless that is asked for", async () => {
    const emulated = candidate("webgpu", { device: "google swiftshader" });
    expect((await chooseCompute("automatic", [emulated, wasm])).backend).toBe(wasm.backend);
    expect((await chooseCompute("webgpu", [emulated, wasm])).backend).toBe(emulated.backend);
  });

  it("is the next one where a candidate does not start", async () => {
    const broken = candidate("webgpu", {}, () => Promise.reject(new Error("device lost")));
    const { backend, remarks } = await chooseCompute("automatic", [broken, wasm]);
    expect(backend).toBe(wasm.backend);
    expect(remarks[0]).toContain("did not start. device lost");
  });

  it("is an error where nothing is usable: it says what is missing", async () => {
    await expect(chooseCompute("webgpu", [absent, wasm])).rejects.toThrow(InputError);
    await expect(chooseCompute("webgpu", [absent, wasm])).rejects.toThrow("this browser has none");
  });
});
