import {
  blockOf, sizeOf, widen, zerosLike, type EncoderSpec, type GeneralComposition, type HostRules, type HostTensor, type IndexedBlock,
  type NamedArrays, type NamedHostTensors, type NamedTensors, type TaskVector,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import type { BufferPool } from "./buffer-pool.js";
import type { ComposedParameters, GradientCollector } from "./composed-parameters.js";

/** What a general composition composes. */
export interface GeneralModel {
  readonly spec: EncoderSpec;
  readonly base: NamedHostTensors;
  readonly vectors: readonly TaskVector[];
  readonly composition: GeneralComposition;
  /** Whether θ − θ0 is wanted rather than θ. */
  readonly relative: boolean;
}

function tensorOf(host: HostTensor | undefined, shape: readonly number[]): tf.Tensor {
  return host === undefined ? tf.zeros([...shape]) : tf.tensor(widen(host), [...shape], "float32");
}

/** Blocks by a composition's own rules, one at a time: on host memory where it has rules for that, else on tfjs tensors. */
export class GeneralParameters implements ComposedParameters {
  readonly values = new Map<string, Float32Array>();
  readonly #blocks: ReadonlyMap<string, IndexedBlock>;

  private constructor(readonly model: GeneralModel, readonly coefficients: NamedArrays, readonly pool: BufferPool) {
    const { blocks } = model.spec;
    const composed = blocks.map((block, index): IndexedBlock => ({ block, index, count: blocks.length }));
    this.#blocks = new Map(composed.filter(({ block }) => block.kind !== "leftover").map((at) => [at.block.name, at]));
  }

  static async compose(model: GeneralModel, coefficients: NamedArrays, pool: BufferPool): Promise<GeneralParameters> {
    const own = new GeneralParameters(model, coefficients, pool);
    const rules = model.composition.host;
    for (const [name, at] of own.#blocks) {
      const values = pool.take(sizeOf(at.block.shape));
      own.values.set(name, values);
      if (rules === undefined) values.set(await own.#onTensors(at));
      else own.#onHost(at, rules, values);
    }
    return own;
  }

  async #onTensors(at: IndexedBlock): Promise<Float32Array> {
    const { base, composition, relative } = this.model;
    const composed = tf.tidy(() => {
      const from = tensorOf(base.get(at.block.name), at.block.shape);
      const value = composition.compose(at, from, this.#tensors(at), this.#upload());
      return relative ? tf.sub(value, from) : value;
    });
    try {
      return await composed.data<"float32">();
    } finally {
      composed.dispose();
    }
  }

  #onHost(at: IndexedBlock, rules: HostRules, values: Float32Array): void {
    const { base, relative } = this.model;
    values.fill(0);
    rules.difference(at, this.#vectors(at), this.coefficients, values);
    if (relative) return;
    const from = widen(base.get(at.block.name)!);
    for (let i = 0; i < values.length; i++) values[i]! += from[i]!;
  }

  #vectors({ block }: IndexedBlock): (HostTensor | undefined)[] {
    return this.model.vectors.map((vector) => blockOf(vector, block.name));
  }

  #tensors(at: IndexedBlock): tf.Tensor[] {
    return this.#vectors(at).map((vector) => tensorOf(vector, at.block.shape));
  }

  #upload(): NamedTensors {
    const shapes = this.model.composition.shapes(this.model.spec.blocks, this.model.vectors.length);
    const entries = Object.entries(shapes);
    return Object.fromEntries(entries.map(([name, shape]) => [name, tf.tensor(this.coefficients[name]!, shape, "float32")]));
  }

  async #reduce(at: IndexedBlock, gradient: Float32Array, into: NamedArrays): Promise<void> {
    const rules = this.model.composition.host;
    if (rules !== undefined) {
      rules.reduce(at, gradient, this.#vectors(at), into);
      return;
    }
    const parts = tf.tidy(() => {
      const tensor = tf.tensor(gradient, [...at.block.shape]);
      return this.model.composition.reduce(at, tensor, this.#tensors(at), this.#upload());
    });
    for (const [name, part] of Object.entries(parts)) {
      const total = into[name]!;
      (await part.data<"float32">()).forEach((value, i) => { total[i]! += value; });
    }
    tf.dispose(parts);
  }

  collect(): GradientCollector {
    const gradients = zerosLike(this.coefficients);
    const buffers = new Map<string, Float32Array>();
    return {
      buffer: (block) => {
        const known = buffers.get(block);
        if (known !== undefined) return known;
        const made = this.pool.take(this.values.get(block)!.length);
        buffers.set(block, made);
        return made;
      },
      take: async (blocks) => {
        for (const name of blocks) {
          await this.#reduce(this.#blocks.get(name)!, buffers.get(name)!, gradients);
          this.pool.give(buffers.get(name)!);
          buffers.delete(name);
        }
      },
      finish: () => gradients,
    };
  }

  dispose(): void {
    for (const values of this.values.values()) this.pool.give(values);
    this.values.clear();
  }
}
