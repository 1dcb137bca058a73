import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { InputError } from "@atlas-tv/core";
import { runCommand, type CommandOptions } from "./command.js";

/** Version of Node-API that the addon is built for: Node 20, 22 and 24 have it. */
const NAPI_VERSION = 8;

/** The program that compiles C++: `CXX`, or what systems call it. @throws InputError without one. */
export async function findCompiler(): Promise<string> {
  const named = process.env["CXX"];
  for (const program of named ? [named] : ["g++", "c++", "clang++"]) {
    if ((await runCommand(program, ["--version"])).status === 0) return program;
  }
  throw new InputError({
    where: "cuda-setup",
    got: named ? `CXX is ${named}, which does not run` : "no C++ compiler",
    expected: "g++ or clang++, or another that CXX names",
    next: "install one, on Debian and Ubuntu with: apt-get install g++",
  });
}

/** The folder of `node_api.h`: Node's own headers, or the package node-api-headers. @throws InputError */
export function nodeHeaders(nodeFolder?: string): string {
  const folder = nodeFolder === undefined
    ? join(dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json")), "include")
    : join(nodeFolder, "include", "node");
  if (existsSync(join(folder, "node_api.h"))) return folder;
  throw new InputError({ where: "--nodedir", got: `no node_api.h in ${folder}`, expected: "a folder of Node with include/node/node_api.h" });
}

export interface AddonBuild {
  readonly compiler: string;
  /** Folder of the npm package with `binding/*.cc`. */
  readonly sources: string;
  /** Folder of `node_api.h`. */
  readonly nodeHeaders: string;
  /** Folder of `tensorflow/c/c_api.h`. */
  readonly tensorflowHeaders: string;
  /** TensorFlow's shared libraries. */
  readonly libraries: readonly string[];
  /** Where the addon looks for them when it is loaded: an absolute path, or one from `$ORIGIN`, its own folder. */
  readonly searchPath: string;
  readonly output: string;
}

/** Compiles and links the addon in one call of the compiler: it is two files, and needs no generator of make files. */
export async function buildAddon(build: AddonBuild, options: CommandOptions): Promise<void> {
  const { compiler, sources, libraries, output } = build;
  const binding = join(sources, "binding");
  const files = readdirSync(binding).filter((name) => name.endsWith(".cc")).map((name) => join(binding, name));
  const include = [build.nodeHeaders, build.tensorflowHeaders].map((folder) => `-I${folder}`);
  const { status, stderr } = await runCommand(compiler, [
    "-shared", "-fPIC", "-O2", "-std=c++17", `-DNAPI_VERSION=${NAPI_VERSION}`, ...include, ...files, "-o", output, ...libraries, `-Wl,-rpath,${build.searchPath}`,
  ], options);
  if (status === 0) return;
  const reason = stderr.split("\n").find((line) => /error|undefined|cannot/i.test(line)) ?? `status ${String(status)}`;
  throw new InputError({
    where: "cuda-setup",
    got: `${compiler} did not compile the addon (${reason.trim()})`,
    expected: "headers and libraries of TensorFlow 2 and a compiler of C++17",
    next: "run the command again with --verbose, which shows all that the compiler says",
  });
}

/** What a freshly built addon says of itself. */
export interface AddonFacts {
  readonly version: string;
  readonly gpu: boolean;
}

/** Loads an addon with every symbol bound at once, in a process of its own, which may crash. */
const LOAD = `
  const addon = { exports: {} };
  process.dlopen(addon, process.argv[1], require("node:os").constants.dlopen.RTLD_NOW);
  process.stdout.write("\\n" + JSON.stringify({ version: addon.exports.TF_Version, gpu: addon.exports.isUsingGpuDevice() }));`;

/** @throws InputError that names the symbol or library that is missing. */
export async function checkAddon(path: string, { signal }: CommandOptions = {}): Promise<AddonFacts> {
  const env = { TF_CPP_MIN_LOG_LEVEL: process.env["TF_CPP_MIN_LOG_LEVEL"] ?? "3" };
  const { status, stdout, stderr } = await runCommand(process.execPath, ["--eval", LOAD, path], { env, ...(signal && { signal }) });
  if (status === 0) return JSON.parse(stdout.trim().split("\n").at(-1)!) as AddonFacts;
  const symbol = /undefined symbol: (\S+?)[,\s]/.exec(`${stderr} `)?.[1];
  const reason = /^Error: (.*)$/m.exec(stderr)?.[1] ?? stderr.trim().split("\n").at(-1) ?? "";
  throw new InputError({
    where: "the addon",
    got: symbol === undefined ? `it does not load (${reason || `status ${String(status)}`})` : `TensorFlow's libraries do not export ${symbol}`,
    expected: "a TensorFlow whose libraries export its C API",
    next: "run the command without --tensorflow and --wheel: it takes the release that is proven",
  });
}
