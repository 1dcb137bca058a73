import * as tf from "@tensorflow/tfjs-core";
import type { Backend, BackendReport, CompiledEncoder, CompileOptions } from "./backend.js";
import type { Composition } from "./composition.js";
import { compileDefault } from "./default-encoder.js";
import type { EncoderSpec } from "./encoder-spec.js";
import { InputError } from "./errors.js";
import type { NamedHostTensors } from "./state-dict.js";
import type { TaskVector } from "./task-vector.js";

/**
 * The default implementation on a tfjs backend that somebody has registered, by importing its package: "cpu", "wasm",
 * "webgl" … Its id is `tfjs-` and that name.
 */
export class PlainBackend implements Backend {
  readonly id: string;

  constructor(readonly tfjsBackend: string) {
    this.id = `tfjs-${tfjsBackend}`;
  }

  probe(): Promise<BackendReport> {
    const usable = tf.findBackendFactory(this.tfjsBackend) != null;
    const name = this.tfjsBackend;
    const missing = usable ? [] : [`the tfjs backend "${name}": import its package, such as @tensorflow/tfjs-backend-${name}`];
    const versions = { "@tensorflow/tfjs-core": tf.version_core };
    return Promise.resolve({ usable, device: `tfjs ${name}`, versions, missing });
  }

  async activate(): Promise<void> {
    const { usable, missing } = await this.probe();
    if (!usable || !(await tf.setBackend(this.tfjsBackend))) {
      throw new InputError({
        where: `backend "${this.id}"`,
        got: "a backend that does not start",
        expected: missing[0] ?? "its requirements to be met",
      });
    }
    await tf.ready();
  }

  compile(
    spec: EncoderSpec,
    base: NamedHostTensors,
    vectors: readonly TaskVector[],
    composition: Composition,
    options?: CompileOptions,
  ): Promise<CompiledEncoder> {
    return compileDefault(spec, base, vectors, composition, options);
  }
}
