import {
  compileDefault, InputError, ResidentBase,
  type Backend, type BackendReport, type CompiledEncoder, type CompileOptions, type Composition, type EncoderSpec,
  type NamedHostTensors, type TaskVector,
} from "@atlas-tv/core";
import { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { replaceAddition } from "./addition-kernel.js";
import { DeviceBlockStore } from "./device-block-store.js";
import { DeviceWatch } from "./device-watch.js";
import type { Graphics } from "./graphics.js";
import { adapterName, findAdapter, openDevice } from "./graphics-device.js";
import { innerProductsKernel } from "./inner-products-kernel.js";
import { activationBytes, largestBlock } from "./largest-tensor.js";
import { WatchedEncoder } from "./watched-encoder.js";
import { weightedSumKernel } from "./weighted-sum-kernel.js";

export interface WebGpuBackendOptions {
  /** Which adapter to ask for where there are several. Default "high-performance". */
  readonly powerPreference?: "high-performance" | "low-power";
  /** Bytes that one buffer may have; default what the adapter allows. */
  readonly maxBufferBytes?: number;
}

const TFJS_NAME = "webgpu";

/** Devices that a tfjs backend of this process runs on, by that backend. */
const watches = new WeakMap<WebGPUBackend, DeviceWatch>();

/** The tfjs backend that is in place, by whomever it was made; asking tfjs itself would start one. */
function presentBackend(): WebGPUBackend | null {
  return (tf.engine().registry[TFJS_NAME] as WebGPUBackend | undefined) ?? null;
}

/**
 * @param TfjsBackend the class of tfjs's WebGPU backend.
 * @throws InputError when it was built on another copy of tfjs-core than this package: tensors of the one are none to the other.
 */
export function requireOneCore(TfjsBackend: { readonly prototype: object } = WebGPUBackend): void {
  if (TfjsBackend.prototype instanceof tf.KernelBackend) return;
  throw new InputError({
    where: 'backend "webgpu"',
    got: "two copies of @tensorflow/tfjs-core, one here and one in @tensorflow/tfjs-backend-webgpu",
    expected: "one copy in the whole application",
    next: "let your package manager deduplicate it (`npm dedupe`), or give your bundler an alias for @tensorflow/tfjs-core",
  });
}

/** Our own kernels, once. */
function registerKernels(): void {
  replaceAddition();
  for (const kernel of [weightedSumKernel, innerProductsKernel]) {
    if (tf.getKernel(kernel.kernelName, TFJS_NAME) == null) tf.registerKernel(kernel);
  }
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/**
 * Encoders on the graphics device: tfjs's WebGPU backend, with task vectors as packed half floats and kernels of our own
 * that compose a block, and reduce its gradient, in one pass. Heads and objectives run there too.
 */
export class GraphicsBackend implements Backend {
  readonly id = "webgpu";

  constructor(readonly graphics: Graphics, readonly options: WebGpuBackendOptions = {}) {
    const { maxBufferBytes: limit } = options;
    if (limit !== undefined && !(limit > 0)) {
      throw new InputError({ where: "webgpu backend maxBufferBytes", got: String(limit), expected: "a positive number of bytes" });
    }
  }

  async probe(): Promise<BackendReport> {
    const { gpu, versions, missing, withoutAdapter } = await this.graphics();
    const adapter = gpu === null ? null : await findAdapter(gpu, this.options);
    const lacking = gpu !== null && adapter === null ? [`a graphics adapter: ${withoutAdapter}`] : missing;
    return {
      usable: adapter !== null,
      device: adapter === null ? "no graphics adapter" : adapterName(adapter.info),
      versions: { ...versions, "@tensorflow/tfjs-core": tf.version_core },
      missing: lacking,
    };
  }

  async activate(): Promise<void> {
    requireOneCore();
    const present = presentBackend();
    if (present === null || (watches.get(present)?.isLost ?? false)) await this.#open();
    else if (!watches.has(present)) watches.set(present, new DeviceWatch(present.device, adapterName(present.device.adapterInfo)));
    registerKernels();
    if (tf.getBackend() !== TFJS_NAME) await tf.setBackend(TFJS_NAME);
    await tf.ready();
  }

  /** Registers a tfjs backend on a new device: tfjs's own asks for less, and fails without an adapter. */
  async #open(): Promise<void> {
    const { device, info } = await openDevice(this.graphics, this.options);
    if (tf.findBackendFactory(TFJS_NAME) != null) tf.removeBackend(TFJS_NAME);
    const made = new WebGPUBackend(device, info);
    watches.set(made, new DeviceWatch(device, adapterName(info)));
    tf.registerBackend(TFJS_NAME, () => made, 3);
    await tf.setBackend(TFJS_NAME);
  }

  /**
   * @throws InputError when a block does not fit into one buffer of the adapter.
   * @throws DeviceError when the device has not enough memory for base and task vectors.
   */
  async compile(
    spec: EncoderSpec,
    base: NamedHostTensors,
    vectors: readonly TaskVector[],
    composition: Composition,
    options: CompileOptions = {},
  ): Promise<CompiledEncoder> {
    await this.activate();
    const tfjsBackend = presentBackend()!;
    const watch = watches.get(tfjsBackend)!;
    const { maxStorageBufferBindingSize, maxBufferSize } = tfjsBackend.device.limits;
    const limit = Math.min(maxStorageBufferBindingSize, maxBufferSize, this.options.maxBufferBytes ?? Infinity);
    const block = largestBlock(spec);
    if (block.bytes > limit) {
      throw new InputError({
        where: `block "${block.name}" on ${watch.name}`,
        got: `buffers of at most ${mebibytes(limit)}`,
        expected: `an adapter with buffers of ${mebibytes(block.bytes)}`,
        next: "take a smaller model, or compute on another backend",
      });
    }
    const residentBase = new ResidentBase(base);
    const encoder = await watch.run(
      () => compileDefault(spec, base, vectors, composition, {
        ...options,
        store: (_base, own) => new DeviceBlockStore(residentBase, own, tfjsBackend, limit),
      }),
      (made) => made.dispose(),
    );
    return new WatchedEncoder(encoder, watch, (rows) => this.#checkRows(spec, rows, limit, watch.name), options.microBatch ?? Infinity);
  }

  /** @throws InputError when so many rows at once do not fit into one buffer of the adapter. */
  #checkRows(spec: EncoderSpec, rows: number, limit: number, name: string): void {
    const needed = rows * activationBytes(spec);
    if (needed <= limit) return;
    const fitting = Math.floor(limit / activationBytes(spec));
    throw new InputError({
      where: `a batch of ${rows} on ${name}`,
      got: `buffers of at most ${mebibytes(limit)}`,
      expected: `an adapter with buffers of ${mebibytes(needed)}`,
      next: fitting === 0 ? "take a smaller model, or compute on another backend" : `compute at most ${fitting} rows at once: set microBatch, or use smaller batches`,
    });
  }
}
