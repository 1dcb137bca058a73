import { createRequire } from "node:module";
import * as tf from "@tensorflow/tfjs-core";
import type { Runtime } from "./runtime-folder.js";
import { ADDON_PACKAGE } from "./tensorflow-release.js";

/** The tfjs backend that the package registers. */
export const TFJS_BACKEND = "tensorflow";

/** An attribute of a TensorFlow operation. */
export interface OpAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean;
}

/** What an operation has made: the addon's number for it, and its type as TensorFlow numbers types. */
export interface OpOutput {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

/** What is used here of the native addon. Tensors are its own, by number. */
export interface Addon {
  readonly TF_Version: string;
  readonly TF_FLOAT: number;
  readonly TF_UINT8: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_BOOL: number;
  isUsingGpuDevice(): boolean;
  /** Copies values to the device. */
  createTensor(shape: readonly number[], dtype: number, values: Uint8Array): number;
  executeOp(name: string, attributes: readonly OpAttribute[], inputs: readonly number[], outputs: number): OpOutput[];
  deleteTensor(id: number): void;
  getNumOfTensors(): number;
}

/** tfjs-node's backend, as far as it is used here. */
export interface TensorFlowBackend extends tf.KernelBackend {
  readonly binding: Addon;
  /** A tfjs tensor of what an operation has made. */
  createOutputTensor(output: OpOutput): tf.Tensor;
}

/** The tfjs backend after it was registered. */
export const tensorFlowBackend = (): TensorFlowBackend => tf.engine().findBackend(TFJS_BACKEND) as TensorFlowBackend;

/** TensorFlow, loaded into this process. */
export interface LoadedTensorFlow {
  readonly version: string;
  /** Whether it computes on a GPU; without one it silently takes the CPU. */
  readonly gpu: boolean;
}

/**
 * TensorFlow reads these when it is loaded; what the user has set stays. Products are computed in float32, not in
 * TF32, whose ten bits of mantissa miss every tolerance; operations give the same bits each time; memory of the GPU is
 * taken as it is needed; remarks of the runtime do not reach people's terminals.
 */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  NVIDIA_TF32_OVERRIDE: "0",
  TF_DETERMINISTIC_OPS: "1",
  TF_FORCE_GPU_ALLOW_GROWTH: "true",
  TF_CPP_MIN_LOG_LEVEL: "3",
};

/** Functions of `node:util` that tfjs-node 4.22 calls; Node 22 warns of them, Node 23 has removed them. */
function restoreRemovedFunctions(require: NodeRequire): void {
  Object.assign(require("node:util") as object, {
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
    isArray: Array.isArray,
  });
}

interface KernelBackendModule {
  readonly NodeJSKernelBackend: new (addon: Addon, packageName: string) => tf.KernelBackend;
}

let loaded: { readonly path: string; readonly tensorflow: LoadedTensorFlow } | null = null;

/** A backend that the application itself has registered, by importing tfjs-node or tfjs-node-gpu. */
function foreign(): LoadedTensorFlow | null {
  if (tf.findBackendFactory(TFJS_BACKEND) == null) return null;
  const { binding } = tensorFlowBackend();
  return { version: binding.TF_Version, gpu: binding.isUsingGpuDevice() };
}

/**
 * Loads TensorFlow and registers the tfjs backend `tensorflow`; at most once in a process.
 * The package's kernels and its backend class are loaded rather than its main entry, which looks for the addon in its
 * own folder alone and selects the backend by itself.
 * @throws Error with the loader's message when a library or a symbol is missing.
 */
export function loadTensorFlow(runtime: Runtime): LoadedTensorFlow {
  if (loaded !== null) {
    if (loaded.path !== runtime.addon) throw new Error(`this process has loaded TensorFlow by ${loaded.path} already`);
    return loaded.tensorflow;
  }
  const other = foreign();
  if (other !== null) return other;
  const require = createRequire(import.meta.url);
  restoreRemovedFunctions(require);
  for (const [name, value] of Object.entries(ENVIRONMENT)) process.env[name] ??= value;
  const addon = require(runtime.addon) as Addon;
  require(`${ADDON_PACKAGE}/dist/register_all_kernels.js`);
  const { NodeJSKernelBackend } = require(`${ADDON_PACKAGE}/dist/nodejs_kernel_backend.js`) as KernelBackendModule;
  tf.registerBackend(TFJS_BACKEND, () => new NodeJSKernelBackend(addon, ADDON_PACKAGE));
  loaded = { path: runtime.addon, tensorflow: { version: addon.TF_Version, gpu: addon.isUsingGpuDevice() } };
  return loaded.tensorflow;
}
