import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { AbortedError, InputError, type ErrorFacts } from "@atlas-tv/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { checkAddon, findCompiler, nodeHeaders } from "../src/addon-build.js";
import { findRuntime, RELEASE, setUpRuntime } from "../src/index.js";
import { addonPackage, RUNTIME_FILE, type RuntimeFacts } from "../src/runtime-folder.js";
import { withTensorFlow } from "./cpu-runtime.js";
import { zipFile } from "./zip-file.js";

const LINUX_X64 = process.platform === "linux" && process.arch === "x64";

let folder: string;
let runtimes: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "atlas set-up-"));
  runtimes = join(folder, "runtimes");
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

async function factsOf(promise: Promise<unknown>): Promise<ErrorFacts> {
  const error: unknown = await promise.then(() => null, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(InputError);
  return (error as InputError).facts;
}

/** Whatever answers to --version passes for a compiler until something is compiled. */
function anyCompiler(): void {
  vi.stubEnv("CXX", process.execPath);
}

function wheelOf(entries: Readonly<Record<string, string>>): string {
  const path = join(folder, "some.whl");
  writeFileSync(path, zipFile(entries));
  return path;
}

const leftInRuntimes = (): string[] => (existsSync(runtimes) ? readdirSync(runtimes) : []);

describe("the set-up of TensorFlow's runtime", () => {
  beforeEach(({ skip }) => skip(!LINUX_X64, "TensorFlow's wheels are taken on Linux on x64 alone"));

  it("needs a C++ compiler, and says so before it downloads anything", async () => {
    vi.stubEnv("PATH", folder);
    vi.stubEnv("CXX", "");
    const { got, next } = await factsOf(setUpRuntime({ kind: "cpu", folder: runtimes }));
    expect(got).toBe("no C++ compiler");
    expect(next).toContain("g++");
    vi.stubEnv("CXX", "no-such-compiler");
    expect((await factsOf(setUpRuntime({ kind: "cpu", folder: runtimes }))).got).toContain("CXX is no-such-compiler");
    expect(leftInRuntimes()).toEqual([]);
  });

  it("needs pip or a wheel", async () => {
    anyCompiler();
    vi.stubEnv("PATH", folder);
    const { got, next } = await factsOf(setUpRuntime({ kind: "cpu", folder: runtimes }));
    expect(got).toBe("no pip");
    expect(next).toContain("--wheel FILE");
  });

  it("says that pip reaches no index", async ({ skip }) => {
    if (spawnSync("python3", ["-m", "pip", "--version"]).status !== 0) return skip("there is no pip");
    anyCompiler();
    vi.stubEnv("PIP_NO_INDEX", "1");
    vi.stubEnv("PIP_FIND_LINKS", "");
    const said: string[] = [];
    const { got } = await factsOf(setUpRuntime({ kind: "cpu", folder: runtimes, onProgress: (text) => said.push(text) }));
    expect(said).toEqual([`Downloading tensorflow-cpu ${RELEASE.version} (207 MB) …`]);
    expect(got).toMatch(new RegExp(`^pip could not download tensorflow-cpu==${RELEASE.version} \\(`));
  });

  it("refuses Node headers that are none", async () => {
    anyCompiler();
    expect((await factsOf(setUpRuntime({ kind: "cpu", folder: runtimes, nodeFolder: folder }))).where).toBe("--nodedir");
  });

  it("refuses a file that is no wheel, and a wheel without TensorFlow's libraries", async () => {
    anyCompiler();
    const text = join(folder, "text.whl");
    writeFileSync(text, "no zip file");
    expect((await factsOf(setUpRuntime({ kind: "cpu", folder: runtimes, wheel: text }))).where).toBe(text);
    const empty = wheelOf({ "tensorflow/__init__.py": "", "tensorflow/libtensorflow_framework.so.2": "" });
    expect((await factsOf(setUpRuntime({ kind: "cpu", folder: runtimes, wheel: empty }))).got).toBe("no tensorflow/libtensorflow_cc.so.2");
    expect(leftInRuntimes()).toEqual([]);
  });

  it("writes no entry of a wheel outside its folder", async () => {
    anyCompiler();
    const wheel = wheelOf({ "tensorflow/libtensorflow_cc.so.2": "", "../../../tensorflow/libtensorflow_cc.so.2": "evil" });
    await expect(setUpRuntime({ kind: "cpu", folder: runtimes, wheel })).rejects.toThrow(/invalid relative path/);
    expect(readdirSync(folder).sort()).toEqual(["runtimes", "some.whl"]);
    expect(leftInRuntimes()).toEqual([]);
  });

  it("refuses and removes a download that is not the proven one", async () => {
    anyCompiler();
    const other = join(runtimes, "downloads", `tensorflow_cpu-${RELEASE.version}-any.whl`);
    mkdirSync(dirname(other), { recursive: true });
    writeFileSync(other, "another file");
    const said: string[] = [];
    const { where, expected } = await factsOf(setUpRuntime({ kind: "cpu", folder: runtimes, onProgress: (text) => said.push(text) }));
    expect(said).toEqual([`Taking tensorflow-cpu ${RELEASE.version}, which was downloaded before …`]);
    expect(where).toBe(other);
    expect(expected).toContain(RELEASE.wheels.cpu.sha256);
    expect(existsSync(other)).toBe(false);
  });

  it("says what a folder of TensorFlow lacks", async () => {
    anyCompiler();
    expect((await factsOf(setUpRuntime({ tensorflow: folder, folder: runtimes }))).got).toContain("libtensorflow_cc.so.2");
    for (const name of ["libtensorflow.so.2", "libtensorflow_framework.so.2"]) writeFileSync(join(folder, name), "");
    expect((await factsOf(setUpRuntime({ tensorflow: folder, folder: runtimes }))).got).toContain("c_api.h");
  });

  it("leaves a finished runtime alone, and removes what a killed run left behind", async () => {
    const facts: RuntimeFacts = {
      schema: 1, kind: "cpu", tensorflow: "2.0", addonVersion: addonPackage()!.version, addon: "addon", libraries: ["lib"], cuda: null,
    };
    mkdirSync(join(runtimes, "cpu"), { recursive: true });
    writeFileSync(join(runtimes, "cpu", RUNTIME_FILE), JSON.stringify(facts));
    vi.stubEnv("PATH", folder);
    const found = await setUpRuntime({ kind: "cpu", folder: runtimes });
    expect(found).toMatchObject({ tensorflow: "2.0", libraries: [join(runtimes, "cpu", "lib")] });
    expect(findRuntime(runtimes)).toEqual(found);

    const { pid } = spawnSync(process.execPath, ["--eval", ""]);
    mkdirSync(join(runtimes, `cuda.partial-${pid}`));
    vi.stubEnv("CXX", "no-such-compiler");
    await factsOf(setUpRuntime({ kind: "cpu", folder: runtimes, force: true }));
    expect(leftInRuntimes()).toEqual(["cpu"]);
  });

  it("ends as interrupted when it is stopped, and leaves nothing half-written", async () => {
    anyCompiler();
    const wheel = wheelOf({ "tensorflow/libtensorflow_cc.so.2": "", "tensorflow/libtensorflow_framework.so.2": "" });
    await expect(setUpRuntime({ kind: "cpu", folder: runtimes, wheel, signal: AbortSignal.abort() })).rejects.toThrow(AbortedError);
    expect(leftInRuntimes()).toEqual([]);
  });

  it("names a function of the C API that a TensorFlow does not export", async ({ skip }) => {
    const compiler = await findCompiler().catch(() => null);
    if (compiler === null) return skip("there is no C++ compiler");
    const source = join(folder, "addon.cc");
    writeFileSync(source, `
      #include <node_api.h>
      extern "C" void TFE_Execute();
      NAPI_MODULE_INIT() { TFE_Execute(); return exports; }`);
    const addon = join(folder, "addon.node");
    const { status, stderr } = spawnSync(compiler, ["-shared", "-fPIC", `-I${nodeHeaders()}`, source, "-o", addon], { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    expect((await factsOf(checkAddon(addon))).got).toBe("TensorFlow's libraries do not export TFE_Execute");
  });
});

withTensorFlow(() => describe("the set-up against a TensorFlow that is there", () => {
  it("links the addon to its libraries where they lie", async ({ skip }) => {
    const present = findRuntime()!;
    const tensorflow = dirname(present.libraries[0]!);
    if (!existsSync(join(tensorflow, "include"))) return skip(`${tensorflow} has no headers`);
    const said: string[] = [];
    const runtime = await setUpRuntime({ tensorflow, folder: runtimes, onProgress: (text) => said.push(text) });
    expect(runtime).toMatchObject({ kind: "linked", tensorflow: present.tensorflow, libraries: present.libraries });
    expect(said.join()).toContain("Compiling");
    expect(leftInRuntimes()).toEqual(["linked"]);
    expect(findRuntime(runtimes)).toEqual(runtime);
    expect((await checkAddon(runtime.addon)).version).toBe(present.tensorflow);
  });
}));
