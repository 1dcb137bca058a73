import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus } from "node:os";
import { dirname, join } from "node:path";
import {
  compileDefault, InputError,
  type Backend, type BackendReport, type CompiledEncoder, type CompileOptions, type Composition, type DeviceRates, type EncoderSpec,
  type NamedHostTensors, type TaskVector,
} from "@atlas-tv/core";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { CpuCompiledEncoder } from "./compiled-encoder.js";
import { measureRates } from "./device-rates.js";

export interface CpuBackendOptions {
  /** Threads of every program; default all cores. */
  readonly threads?: number;
  /** Bytes that one encoder may hold beside its base and task vectors; default what is free. */
  readonly memoryLimit?: number;
}

const resolver = createRequire(import.meta.url);

/** The folder of an installed package, or null. */
function packageFolder(name: string, file: string): string | null {
  try {
    return dirname(resolver.resolve(`${name}/${file}`));
  } catch {
    return null;
  }
}

function versionOf(name: string): string | null {
  const folder = packageFolder(name, "package.json");
  return folder === null ? null : (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string }).version;
}

/** Requires a whole number of at least 1 where a value is given. */
function checkCount(where: string, value: number | undefined): void {
  if (value === undefined || (Number.isInteger(value) && value >= 1)) return;
  throw new InputError({ where, got: String(value), expected: "a whole number, at least 1" });
}

/**
 * Encoders as onnxruntime programs on all cores; heads and objectives on tfjs's wasm backend. What has no programs (a
 * transformer without residual blocks) is left to the default implementation, which is told to `onFallback`.
 */
export class CpuBackend implements Backend {
  readonly id = "cpu";
  readonly #told = new Set<string>();

  constructor(readonly options: CpuBackendOptions = {}) {
    checkCount("cpu backend threads", options.threads);
  }

  probe(): Promise<BackendReport> {
    const runtime = versionOf("onnxruntime-node");
    const wasm = versionOf("@tensorflow/tfjs-backend-wasm");
    const missing = [
      ...(runtime === null ? ["onnxruntime-node: run `npm install onnxruntime-node` (Linux, Windows, macOS on ARM)"] : []),
      ...(wasm === null ? ["@tensorflow/tfjs-backend-wasm: run `npm install @tensorflow/tfjs-backend-wasm`"] : []),
    ];
    const model = cpus()[0]?.model.trim() ?? "unknown processor";
    return Promise.resolve({
      usable: missing.length === 0,
      device: `${model}, ${availableParallelism()} cores`,
      versions: {
        ...(runtime === null ? {} : { "onnxruntime-node": runtime }),
        ...(wasm === null ? {} : { "@tensorflow/tfjs-backend-wasm": wasm }),
        "@tensorflow/tfjs-core": tf.version_core,
      },
      missing,
    });
  }

  async activate(): Promise<void> {
    if (tf.getBackend() === "wasm") return;
    const { usable, missing } = await this.probe();
    const folder = packageFolder("@tensorflow/tfjs-backend-wasm", "package.json");
    const binaries = folder === null ? null : join(folder, "dist/");
    if (!usable || binaries === null || !existsSync(binaries)) {
      throw new InputError({
        where: 'backend "cpu"',
        got: "a package that is not installed",
        expected: missing.join("; ") || "@tensorflow/tfjs-backend-wasm with its dist folder",
      });
    }
    setWasmPaths(binaries);
    if (!(await tf.setBackend("wasm"))) {
      throw new InputError({
        where: 'backend "cpu"',
        got: "tfjs's wasm backend does not start",
        expected: "a Node.js that runs WebAssembly",
      });
    }
    await tf.ready();
  }

  /** Of onnxruntime, which computes the encoders; the small operations on wasm are slower. */
  measure(): Promise<DeviceRates> {
    return measureRates(this.options.threads ?? availableParallelism());
  }

  async compile(
    spec: EncoderSpec,
    base: NamedHostTensors,
    vectors: readonly TaskVector[],
    composition: Composition,
    options: CompileOptions = {},
  ): Promise<CompiledEncoder> {
    checkCount("microBatch", options.microBatch);
    checkCount("threads", options.threads);
    if (spec.family !== "resnet" && spec.layers < 1) {
      this.#tell("transformers without residual blocks", options);
      return compileDefault(spec, base, vectors, composition, options);
    }
    const { microBatch, recompute } = options;
    const { memoryLimit } = this.options;
    return new CpuCompiledEncoder(spec, base, vectors, composition, {
      linearised: options.mode === "linearised",
      threads: options.threads ?? this.options.threads ?? availableParallelism(),
      ...(microBatch === undefined ? {} : { microBatch }),
      ...(recompute === undefined ? {} : { recompute }),
      ...(memoryLimit === undefined ? {} : { memoryLimit }),
    });
  }

  #tell(what: string, options: CompileOptions): void {
    if (this.#told.has(what)) return;
    this.#told.add(what);
    options.onFallback?.(what);
  }
}
