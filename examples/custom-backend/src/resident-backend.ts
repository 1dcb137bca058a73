import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import {
  compileDefault, HostBlockStore, PlainBackend, TOKENS,
  type Backend, type BackendReport, type CompiledEncoder, type CompileOptions, type Composition, type EncoderSpec, type IndexedBlock, type NamedHostTensors, type Plugin, type TaskVector,
} from "@atlas-tv/core";
import { z } from "zod";

/**
 * Base and task vectors as tensors of the device, uploaded when a block is first composed and kept from then on. Core's
 * own store uploads them anew in every step and keeps half floats half as large in host memory: this one spends memory
 * for time.
 */
export class ResidentBlockStore extends HostBlockStore {
  readonly #kept = new Map<string, tf.Tensor[]>();

  /** How many blocks of base and task vectors are on the device. */
  get resident(): number {
    return this.#kept.size;
  }

  #keep(name: string, upload: () => tf.Tensor[]): tf.Tensor[] {
    let tensors = this.#kept.get(name);
    if (tensors === undefined) this.#kept.set(name, tensors = upload().map((tensor) => tf.keep(tensor)));
    // What a store returns belongs to the caller: clones share the memory.
    return tensors.map((tensor) => tf.clone(tensor));
  }

  override base(at: IndexedBlock): tf.Tensor {
    return this.#keep(`base ${at.block.name}`, () => [super.base(at)])[0]!;
  }

  override vectors(at: IndexedBlock): tf.Tensor[] {
    return this.#keep(`vectors ${at.block.name}`, () => super.vectors(at));
  }

  override dispose(): void {
    for (const tensors of this.#kept.values()) tf.dispose(tensors);
    this.#kept.clear();
  }
}

/** tfjs's wasm backend, with base and task vectors resident on it. */
export class ResidentBackend implements Backend {
  readonly id = "resident";
  readonly #wasm = new PlainBackend("wasm");

  probe(): Promise<BackendReport> {
    return this.#wasm.probe();
  }

  async activate(): Promise<void> {
    setWasmPaths(join(dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist/"));
    await this.#wasm.activate();
  }

  compile(spec: EncoderSpec, base: NamedHostTensors, vectors: readonly TaskVector[], composition: Composition, options?: CompileOptions): Promise<CompiledEncoder> {
    return compileDefault(spec, base, vectors, composition, { ...options, store: (...held) => new ResidentBlockStore(...held) });
  }
}

/** What `--plugin` and tsyringe take: a name, a kind, a schema, and a registration. */
export const plugin: Plugin = {
  id: "resident",
  kind: "backend",
  options: z.strictObject({}),
  register: (container) => {
    container.register(TOKENS.backend, { useValue: new ResidentBackend() });
  },
};
