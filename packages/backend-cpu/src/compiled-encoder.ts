import {
  buffersOf, checkBlocks, checkCoefficients, InputError, sameShape, widen,
  type CompiledEncoder, type CompileOptions, type ComposedEncoder, type Composition, type EncoderSpec, type ForwardPass,
  type NamedArrays, type NamedHostTensors, type TaskVector,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import { BufferPool } from "./buffer-pool.js";
import type { BlockValues, ComposedParameters } from "./composed-parameters.js";
import { DenseParameters } from "./dense-parameters.js";
import { embeddingBlocks, EncoderEngine, type EvaluationPoint } from "./encoder-engine.js";
import { readInputs, type InputArray } from "./encoder-inputs.js";
import { GeneralParameters } from "./general-parameters.js";
import { MemoryBudget } from "./memory-estimate.js";
import { networkOf } from "./network.js";
import { ProgramCache } from "./program.js";
import { ScalarArithmetic, ScalarParameters } from "./scalar-parameters.js";
import { scalarPlan, type ScalarPlan } from "./scalar-plan.js";
import { blocksOf, StageRunner } from "./stage-runner.js";

/** Settings of a compiled encoder. */
export interface CpuCompileOptions extends Pick<CompileOptions, "microBatch" | "recompute"> {
  readonly threads: number;
  readonly linearised: boolean;
  /** Bytes that the encoder may hold; default what is free. */
  readonly memoryLimit?: number;
}

function copyOf(coefficients: NamedArrays): NamedArrays {
  return Object.fromEntries(Object.entries(coefficients).map(([name, values]) => [name, values.slice()]));
}

/** Encoder programs with parameters composed once. */
class CpuComposedEncoder implements ComposedEncoder {
  #disposed = false;

  /**
   * @param parameters θ, or Δ of a linearised encoder: what the coefficients compose.
   * @param point where the encoder is evaluated.
   */
  constructor(
    readonly engine: EncoderEngine,
    readonly parameters: ComposedParameters,
    readonly point: EvaluationPoint,
    readonly options: CpuCompileOptions,
    readonly requireMemory: (where: string, batch: number, gradient: boolean) => void,
  ) {}

  #live(): void {
    if (this.#disposed) throw new Error("the composed encoder was disposed");
  }

  async features(inputs: Tensor): Promise<Tensor2D> {
    this.#live();
    const { spec } = this.engine.network;
    const values = await readInputs(spec, inputs);
    const batch = inputs.shape[0]!;
    const part = Math.max(1, Math.min(this.options.microBatch ?? batch, batch));
    this.requireMemory("features", part, false);
    const stride = values.length / Math.max(1, batch);
    const features = new Float32Array(batch * spec.outputWidth);
    for (let from = 0; from < batch; from += part) {
      const to = Math.min(batch, from + part);
      const trace = await this.engine.forward(values.subarray(from * stride, to * stride), to - from, this.point, "nothing");
      features.set(trace.features, from * spec.outputWidth);
      this.engine.release(trace);
    }
    return tf.tensor2d(features, [batch, spec.outputWidth]);
  }

  async forward(inputs: Tensor): Promise<ForwardPass> {
    this.#live();
    const { spec } = this.engine.network;
    // tfjs may hand out its own memory, which the caller frees before `backward`; the engine keeps images.
    const read = await readInputs(spec, inputs);
    const batch = inputs.shape[0]!;
    this.requireMemory("forward", batch, true);
    const values: InputArray = spec.family === "text" ? read.slice() : read;
    const trace = await this.engine.forward(values, batch, this.point, this.options.recompute === true ? "inputs" : "all");
    const features = tf.tensor2d(trace.features.slice(), [batch, spec.outputWidth]);
    let done = false;
    let disposed = false;
    return {
      features,
      backward: async (featureGradients) => {
        if (done || disposed) throw new Error(`backward: the pass was ${disposed ? "disposed" : "taken back"} already`);
        this.#live();
        done = true;
        if (!sameShape(featureGradients.shape, features.shape)) {
          throw new InputError({
            where: "backward",
            got: `gradients [${featureGradients.shape.join(", ")}]`,
            expected: `the shape of the features, [${features.shape.join(", ")}]`,
          });
        }
        const collector = this.parameters.collect();
        await this.engine.backward(trace, await featureGradients.data<"float32">(), this.point.values, collector);
        return collector.finish();
      },
      dispose: () => {
        if (disposed) return;
        disposed = true;
        features.dispose();
        this.engine.release(trace);
      },
    };
  }

  dispose(): void {
    this.#disposed = true;
    this.parameters.dispose();
  }
}

/** Encoder programs, a base and task vectors. */
export class CpuCompiledEncoder implements CompiledEncoder {
  readonly #pool = new BufferPool();
  readonly #programs: ProgramCache;
  readonly #engine: EncoderEngine;
  readonly #budget: MemoryBudget;
  #vectors: readonly TaskVector[];
  #plan: ScalarPlan | null;
  /** θ0, widened, of a linearised encoder. */
  readonly #origin: BlockValues | null;
  #disposed = false;

  constructor(
    readonly spec: EncoderSpec,
    readonly base: NamedHostTensors,
    vectors: readonly TaskVector[],
    readonly composition: Composition,
    readonly options: CpuCompileOptions,
  ) {
    checkBlocks(spec, base, "the base model");
    this.#programs = new ProgramCache(options.threads);
    const buffers = new Map(buffersOf(spec).map(({ name }) => [name, widen(base.get(name)!)]));
    this.#engine = new EncoderEngine(networkOf(spec), new StageRunner(this.#programs, this.#pool, buffers));
    this.#budget = new MemoryBudget(spec, options.memoryLimit);
    this.#requireMemory("compile", 1, true);
    this.#vectors = vectors;
    this.#plan = this.#planFor(vectors);
    const composed = spec.blocks.filter(({ kind }) => kind !== "leftover");
    this.#origin = options.linearised ? new Map(composed.map(({ name }) => [name, widen(base.get(name)!)])) : null;
  }

  #planFor(vectors: readonly TaskVector[]): ScalarPlan | null {
    for (const { name, blocks } of vectors) checkBlocks(this.spec, blocks, `task vector "${name}"`, { partial: true });
    return this.composition.kind === "scalar" ? scalarPlan(this.spec, this.options.linearised ? null : this.base, vectors) : null;
  }

  #requireMemory(where: string, batch: number, gradient: boolean): void {
    const { linearised, recompute = false } = this.options;
    const plan = { batch, gradient, linearised, recompute, composition: this.composition.kind };
    this.#budget.require(`${where} of the ${this.spec.family} encoder`, plan, this.#pool.bytes);
  }

  #live(): void {
    if (this.#disposed) throw new Error("the compiled encoder was disposed");
  }

  get vectorCount(): number {
    return this.#vectors.length;
  }

  initialCoefficients(): NamedArrays {
    return this.composition.initial(this.spec.blocks, this.vectorCount, this.base);
  }

  async #parameters(coefficients: NamedArrays): Promise<ComposedParameters> {
    const { composition, spec, base } = this;
    const { linearised } = this.options;
    checkCoefficients(composition, spec.blocks, this.vectorCount, coefficients);
    switch (composition.kind) {
      case "dense": return new DenseParameters(coefficients, spec.blocks, linearised ? base : null);
      case "general": {
        const model = { spec, base, vectors: this.#vectors, composition, relative: linearised };
        return GeneralParameters.compose(model, copyOf(coefficients), this.#pool);
      }
      case "scalar": {
        const arithmetic = new ScalarArithmetic(this.#plan!, this.#programs, this.#pool);
        const outside = embeddingBlocks(this.#engine.network);
        const groups = [...(outside === null ? [] : [Object.values(outside)]), ...this.#engine.network.stages.map(blocksOf)];
        return ScalarParameters.compose(arithmetic, composition, copyOf(coefficients), groups);
      }
    }
  }

  /** With a dense composition the arrays are used where they are: leave them as they are until the result is disposed. */
  async compose(coefficients: NamedArrays): Promise<ComposedEncoder> {
    this.#live();
    const parameters = await this.#parameters(coefficients);
    const { values } = parameters;
    const point = this.#origin === null ? { values, steps: null } : { values: this.#origin, steps: values };
    return new CpuComposedEncoder(this.#engine, parameters, point, this.options, (where, batch, gradient) => {
      this.#requireMemory(where, batch, gradient);
    });
  }

  setVectors(vectors: readonly TaskVector[]): Promise<void> {
    return new Promise((resolve) => {
      this.#live();
      this.#plan = this.#planFor(vectors);
      this.#vectors = vectors;
      resolve();
    });
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#programs.release();
    this.#pool.clear();
  }
}
