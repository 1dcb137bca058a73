import { sizeOf } from "@atlas-tv/core";
import type { ComposedParameters, GradientCollector } from "./composed-parameters.js";
import type { InputArray } from "./encoder-inputs.js";
import type { Network } from "./network.js";
import { extractPatches } from "./patch-embedding.js";
import type { SavedActivations, StageRunner } from "./stage-runner.js";
import { embedTokens, embedTokensGradient, gatherRows, lastTokenRows, scatterRows } from "./text-embedding.js";

/** Everything that the backward pass of one batch reads. Its arrays belong to the pool of the engine. */
export interface Trace {
  readonly batch: number;
  readonly inputs: InputArray;
  /** Input of each stage. */
  readonly x: readonly Float32Array[];
  /** Saved activations of each stage; null where they are to be computed anew. */
  readonly saved: readonly (SavedActivations | null)[];
  readonly features: Float32Array;
}

/** Blocks of the text encoder that are handled outside the stages. */
export function embeddingBlocks({ spec }: Network): { tokens: string; positions: string } | null {
  if (spec.family !== "text") return null;
  return { tokens: `${spec.prefix}token_embedding.weight`, positions: `${spec.prefix}positional_embedding` };
}

/** The forward and the backward pass of an encoder, stage by stage. */
export class EncoderEngine {
  constructor(readonly network: Network, readonly runner: StageRunner) {}

  /** The first stage's input: patches of images, embedded tokens of texts. */
  #embed(inputs: InputArray, batch: number, parameters: ComposedParameters): Float32Array {
    const { spec, inputLength } = this.network;
    const x = this.runner.pool.take(batch * inputLength);
    if (spec.family === "vit") {
      extractPatches(inputs, x, batch, spec);
    } else {
      const { tokens, positions } = embeddingBlocks(this.network)!;
      embedTokens(inputs, parameters.values.get(tokens)!, parameters.values.get(positions)!, spec, x);
    }
    return x;
  }

  /** What pooling reads of the last block's output; the class token of images is all there is. */
  #pick(y: Float32Array, inputs: InputArray, batch: number): Float32Array {
    const { spec } = this.network;
    if (spec.family === "vit") return y;
    const picked = this.runner.pool.take(batch * spec.width);
    gatherRows(y, lastTokenRows(inputs, spec.contextLength), spec.width, picked);
    this.runner.pool.give(y);
    return picked;
  }

  #isPooling(stage: number): boolean {
    return stage === this.network.stages.length - 1;
  }

  /** Features `(batch · D)` of inputs; keeps nothing. */
  async infer(inputs: InputArray, batch: number, parameters: ComposedParameters): Promise<Float32Array> {
    let x = this.#embed(inputs, batch, parameters);
    for (const [index, stage] of this.network.stages.entries()) {
      if (this.#isPooling(index)) x = this.#pick(x, inputs, batch);
      const { y } = await this.runner.forward(stage, x, batch, parameters, false);
      this.runner.pool.give(x);
      x = y;
    }
    return x;
  }

  /** Features and what the backward pass needs; with `recompute`, only the inputs of stages. */
  async forward(inputs: InputArray, batch: number, parameters: ComposedParameters, recompute: boolean): Promise<Trace> {
    const x = [this.#embed(inputs, batch, parameters)];
    const saved: (SavedActivations | null)[] = [];
    for (const [index, stage] of this.network.stages.entries()) {
      if (this.#isPooling(index)) x[index] = this.#pick(x[index]!, inputs, batch);
      const output = await this.runner.forward(stage, x[index]!, batch, parameters, !recompute);
      saved.push(recompute ? null : output.saved);
      x.push(output.y);
    }
    return { batch, inputs, x, saved, features: x.pop()! };
  }

  /** The gradients of all blocks, from dL/d(features), into the collector. */
  async backward(trace: Trace, featureGradients: Float32Array, parameters: ComposedParameters, collector: GradientCollector): Promise<void> {
    const { batch, x, saved } = trace;
    const { pool } = this.runner;
    const { stages } = this.network;
    let dy: Float32Array | null = null;
    for (let index = stages.length - 1; index >= 0; index--) {
      const stage = stages[index]!;
      const kept = saved[index] ?? await this.#recompute(index, trace, parameters);
      const dx: Float32Array | null = await this.runner.backward(stage, x[index]!, kept, dy ?? featureGradients, batch, parameters, collector);
      if (saved[index] === null) Object.values(kept).forEach((array) => pool.give(array));
      if (dy !== null) pool.give(dy);
      dy = dx !== null && this.#isPooling(index) ? this.#unpick(dx, trace) : dx;
    }
    if (dy !== null) await this.#embedGradient(dy, trace, collector);
  }

  async #recompute(index: number, { batch, x }: Trace, parameters: ComposedParameters): Promise<SavedActivations> {
    const { y, saved } = await this.runner.forward(this.network.stages[index]!, x[index]!, batch, parameters, true);
    this.runner.pool.give(y);
    return saved;
  }

  #unpick(dx: Float32Array, { inputs, batch }: Trace): Float32Array {
    const { spec, tokens } = this.network;
    if (spec.family === "vit") return dx;
    const rows = this.runner.pool.take(batch * tokens * spec.width);
    scatterRows(dx, lastTokenRows(inputs, tokens), spec.width, rows);
    this.runner.pool.give(dx);
    return rows;
  }

  async #embedGradient(dx: Float32Array, { inputs }: Trace, collector: GradientCollector): Promise<void> {
    const { spec } = this.network;
    const blocks = embeddingBlocks(this.network);
    if (spec.family === "text" && blocks !== null) {
      embedTokensGradient(inputs, dx, spec, collector.buffer(blocks.tokens), collector.buffer(blocks.positions));
      await collector.take([blocks.tokens, blocks.positions]);
    }
    this.runner.pool.give(dx);
  }

  /** Gives the memory of a trace back. */
  release({ x, saved, features }: Trace): void {
    const { pool } = this.runner;
    for (const array of [...x, features, ...saved.flatMap((kept) => Object.values(kept ?? {}))]) pool.give(array);
  }

  /** Elements of all activations of a training step with `batch` rows, and those of the largest stage alone. */
  activationElements(batch: number): { all: number; inputs: number; largestStage: number } {
    const sizes = this.network.stages.map(({ kind }) => {
      const saved = kind.saved.reduce((sum, { shape }) => sum + sizeOf(shape(batch)), 0);
      return { input: sizeOf(kind.input.shape(batch)), saved };
    });
    const inputs = sizes.reduce((sum, { input }) => sum + input, 0);
    return {
      all: inputs + sizes.reduce((sum, { saved }) => sum + saved, 0),
      inputs,
      largestStage: Math.max(...sizes.map(({ saved }) => saved)),
    };
  }
}
