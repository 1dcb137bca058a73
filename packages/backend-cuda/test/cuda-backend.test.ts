import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createContainer, InputError, resolvePlugin } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isOlder, missingGpuParts, missingLibraries, nvidiaGpus } from "../src/gpu-parts.js";
import { CudaBackend, plugin, RELEASE } from "../src/index.js";
import { addonPackage, RUNTIME_FILE, type RuntimeFacts } from "../src/runtime-folder.js";
import { cudaLibraries } from "../src/tensorflow-release.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "atlas cuda-"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** A runtime in `folder`; libraries that it names exist only when they are made. */
function runtime(facts: Partial<RuntimeFacts> = {}): void {
  mkdirSync(join(folder, "cpu"), { recursive: true });
  const own: RuntimeFacts = {
    schema: 1, kind: "cpu", tensorflow: RELEASE.version, addonVersion: addonPackage()!.version, addon: "tfjs_binding.node",
    libraries: ["libtensorflow_cc.so.2"], cuda: null, ...facts,
  };
  writeFileSync(join(folder, "cpu", RUNTIME_FILE), JSON.stringify(own));
}

const missingIn = async (allowCpu = true): Promise<readonly string[]> => (await new CudaBackend({ runtime: folder, allowCpu }).probe()).missing;

describe("the cuda backend", () => {
  it("is found by its id after it was registered", () => {
    const container = createContainer();
    plugin.register(container);
    expect(resolvePlugin(container, "backend", plugin.id)).toBeInstanceOf(CudaBackend);
    expect(plugin.options.safeParse({ allowCpu: "yes" }).success).toBe(false);
  });

  it("computes on the CPU when the environment asks for it, and not by default", () => {
    const registeredWith = (value: string): CudaBackend => {
      vi.stubEnv("ATLAS_CUDA_ALLOW_CPU", value);
      const container = createContainer();
      plugin.register(container);
      return resolvePlugin(container, "backend", "cuda") as CudaBackend;
    };
    expect(registeredWith("1").options.allowCpu).toBe(true);
    expect(registeredWith("").options.allowCpu).toBe(false);
    expect(new CudaBackend().options.allowCpu).toBeUndefined();
  });

  it("names the addon and libtensorflow, with the version wanted, where there is no runtime", async () => {
    const [addon, library, ...more] = await missingIn();
    expect(addon).toMatch(/^the addon of @tensorflow\/tfjs-node-gpu 4\..*atlas cuda-setup/);
    expect(addon).toContain(folder);
    expect(library).toContain(`libtensorflow: wanted ${RELEASE.version}, found none`);
    expect(more).toEqual([]);
  });

  it("names the addon's version where it is another", async () => {
    runtime({ addonVersion: "3.0.0" });
    expect((await missingIn())[0]).toMatch(/wanted one built from .* 4\.\S+, found one of 3\.0\.0/);
  });

  it("names the libraries of a runtime that are gone", async () => {
    runtime();
    expect((await missingIn())[0]).toContain(join(folder, "cpu", "libtensorflow_cc.so.2"));
  });

  it("takes a folder that is not finished, or of another format, for none", async () => {
    mkdirSync(join(folder, "cpu"));
    expect((await missingIn())[0]).toContain("found in neither");
    writeFileSync(join(folder, "cpu", RUNTIME_FILE), '{ "schema": 99 }');
    expect((await missingIn())[0]).toContain("found in neither");
  });

  it("refuses to start without TensorFlow, with all that probe says", async () => {
    const backend = new CudaBackend({ runtime: folder });
    const { missing } = await backend.probe();
    const error: unknown = await backend.activate().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InputError);
    for (const part of missing) expect((error as InputError).message).toContain(part);
  });
});

describe("what a GPU needs", () => {
  /** Programs found in `folder` alone; nvidia-smi prints what is given. */
  function machineWith(smi: string | null): void {
    vi.stubEnv("PATH", folder);
    if (smi === null) return;
    writeFileSync(join(folder, "nvidia-smi"), `#!/bin/sh\nprintf '${smi}'\n`);
    chmodSync(join(folder, "nvidia-smi"), 0o755);
  }

  it("is a driver, which names its GPUs", async () => {
    machineWith("NVIDIA H100 80GB HBM3, 535.104.05\\nNVIDIA T4, 535.104.05\\n");
    expect(await nvidiaGpus()).toEqual([
      { name: "NVIDIA H100 80GB HBM3", driver: "535.104.05" },
      { name: "NVIDIA T4", driver: "535.104.05" },
    ]);
  });

  it.each([
    ["470.82.01", /^NVIDIA's driver: wanted at least 525\.60\.13 for CUDA 12\.2, found 470\.82\.01/, undefined],
    ["535.104.05", /^a GPU: CUDA_VISIBLE_DEVICES is "-1", which hides NVIDIA T4/, "-1"],
  ])("is told with versions: driver %s", async (driver, message, visible) => {
    machineWith(`NVIDIA T4, ${driver}\\n`);
    if (visible !== undefined) vi.stubEnv("CUDA_VISIBLE_DEVICES", visible);
    expect((await missingGpuParts(RELEASE.cuda, folder))[0]).toMatch(message);
  });

  it("is said to be missing where a driver shows none", async () => {
    machineWith("");
    expect((await missingGpuParts(RELEASE.cuda, folder))[0]).toMatch(/^a GPU: NVIDIA's driver is there, and shows none/);
  });

  it("are CUDA's and cuDNN's libraries; other versions of them are named", () => {
    const wanted = cudaLibraries(RELEASE.cuda);
    expect(missingLibraries(RELEASE.cuda, new Map(wanted.map((name) => [name, `/lib/${name}`])))).toEqual([]);
    const visible = new Map([...wanted.slice(0, -1).map((name) => [name, `/lib/${name}`] as const), ["libcudnn.so.7", "/lib/libcudnn.so.7.6.5"]]);
    expect(missingLibraries(RELEASE.cuda, visible)).toEqual([{ soname: "libcudnn.so.8", found: ["libcudnn.so.7.6.5"] }]);
  });

  it("are found in LD_LIBRARY_PATH and beside TensorFlow, and told in one line for each of the two", async () => {
    machineWith("NVIDIA T4, 535.104.05\\n");
    const beside = join(folder, "site", "nvidia", "cudnn", "lib");
    mkdirSync(beside, { recursive: true });
    writeFileSync(join(beside, "libcudnn.so.8"), "");
    const named = join(folder, "named");
    mkdirSync(named);
    writeFileSync(join(named, "libcudart.so.11.0"), "");
    vi.stubEnv("LD_LIBRARY_PATH", [join(folder, "nowhere"), named].join(delimiter));
    const parts = await missingGpuParts(RELEASE.cuda, folder);
    expect(parts.filter((part) => part.startsWith("cuDNN"))).toEqual([]);
    const cuda = parts.filter((part) => part.startsWith("CUDA 12.2: wanted "));
    // The machine's own loader may know CUDA 12.
    for (const part of cuda) expect(part).toContain("libcudart.so.11.0");
    expect(cuda.length).toBeLessThanOrEqual(1);
  });

  it("compares versions by their numbers", () => {
    expect(isOlder("525.60.9", "525.60.13")).toBe(true);
    expect(isOlder("525.105", "525.60.13")).toBe(false);
    expect(isOlder("525.60.13", "525.60.13")).toBe(false);
  });
});

withTensorFlow(() => describe("TensorFlow without a GPU", () => {
  it("is loaded, and refused unless the CPU was asked for", async ({ skip }) => {
    const report = await new CudaBackend().probe();
    if (report.usable) skip("there is a GPU");
    expect(report.versions["tensorflow"]).toBe(RELEASE.version);
    expect(report.missing.join("\n")).toMatch(/GPU/);
    const before = tf.getBackend();
    await expect(new CudaBackend().activate()).rejects.toThrow(/allowCpu/);
    expect(tf.getBackend()).toBe(before);
  });

  it("computes where the CPU was asked for, which the device says", async ({ skip }) => {
    const { device } = await onCpu.probe();
    await onCpu.activate();
    await onCpu.activate();
    expect(tf.getBackend()).toBe("tensorflow");
    if ((await new CudaBackend().probe()).usable) skip("there is a GPU");
    expect(device).toContain("no GPU is used");
  });

  it("computes in float32, deterministically, and keeps what the user has set", () => {
    expect(process.env).toMatchObject({ NVIDIA_TF32_OVERRIDE: "0", TF_DETERMINISTIC_OPS: "1", TF_FORCE_GPU_ALLOW_GROWTH: "true" });
  });

  it("refuses a second TensorFlow in the same process", async () => {
    runtime({ libraries: [] });
    writeFileSync(join(folder, "cpu", "tfjs_binding.node"), "");
    expect((await missingIn())[0]).toMatch(/has loaded TensorFlow by .* already/);
  });

  it("loads where Node has dropped the functions that tfjs-node calls", () => {
    const built = fileURLToPath(new URL("../dist/index.js", import.meta.url));
    expect(existsSync(built)).toBe(true);
    const program = `
      import util from "node:util";
      delete util.isNullOrUndefined;
      delete util.isArray;
      const { CudaBackend } = await import(${JSON.stringify(built)});
      const tf = await import("@tensorflow/tfjs-core");
      await new CudaBackend({ allowCpu: true }).activate();
      const product = tf.matMul(tf.tensor2d([[1, 2]]), tf.tensor2d([[3], [4]]));
      console.log(JSON.stringify([...await product.data(), ...await tf.topk(tf.tensor1d([5, 7]), 1).values.data()]));`;
    const cwd = fileURLToPath(new URL("..", import.meta.url));
    const { stdout, stderr, status } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], { cwd, encoding: "utf8" });
    expect({ status, stdout: stdout.trim().split("\n").at(-1) }, stderr).toEqual({ status: 0, stdout: "[11,7]" });
    expect(stderr).not.toContain("DeprecationWarning");
  });
}));
