import type { BlockValues, GradientCollector } from "./composed-parameters.js";
import type { InputArray } from "./encoder-inputs.js";
import type { Network } from "./network.js";
import { extractPatches } from "./patch-embedding.js";
import type { SavedActivations, StageRunner } from "./stage-runner.js";
import { embedTokens, embedTokensGradient, gatherRows, lastTokenRows, scatterRows } from "./text-embedding.js";

/** The blocks that an encoder is evaluated at. */
export interface EvaluationPoint {
  /** θ; θ0 of a linearised encoder. */
  readonly values: BlockValues;
  /** Δ = θ − θ0 of a linearised encoder, whose features are f(x; θ0) + J · Δ; null of any other. */
  readonly steps: BlockValues | null;
}

/** What a forward pass keeps for the backward pass: nothing, the inputs of stages, or all that is read again. */
export type Keep = "nothing" | "inputs" | "all";

/** The result of a forward pass. Its arrays belong to the pool of the engine. */
export interface Trace {
  readonly batch: number;
  /** Token ids; of images nothing, as the first stage's input holds them. */
  readonly inputs: InputArray;
  /** Input of each stage, as far as kept. */
  readonly x: readonly Float32Array[];
  /** Saved activations of each stage; null where they are to be computed anew. */
  readonly saved: readonly (SavedActivations | null)[];
  readonly features: Float32Array;
}

const NOTHING = new Float32Array(0);

/** Blocks of the text encoder that are handled outside the stages. */
export function embeddingBlocks({ spec }: Network): { tokens: string; positions: string } | null {
  if (spec.family !== "text") return null;
  return { tokens: `${spec.prefix}token_embedding.weight`, positions: `${spec.prefix}positional_embedding` };
}

/** The forward and the backward pass of an encoder, stage by stage. */
export class EncoderEngine {
  constructor(readonly network: Network, readonly runner: StageRunner) {}

  /** Token rows from the tables of `values`: the first stage's input of texts, or its change. */
  #embedTexts(inputs: InputArray, batch: number, values: BlockValues): Float32Array | null {
    const { spec, inputLength } = this.network;
    const blocks = embeddingBlocks(this.network);
    if (spec.family !== "text" || blocks === null) return null;
    const rows = this.runner.pool.take(batch * inputLength);
    embedTokens(inputs, values.get(blocks.tokens)!, values.get(blocks.positions)!, spec, rows);
    return rows;
  }

  /** The first stage's input of images: patches, or the images themselves. */
  #placeImages(inputs: InputArray, batch: number): Float32Array {
    const { spec, inputLength } = this.network;
    const placed = this.runner.pool.take(batch * inputLength);
    if (spec.family === "vit") extractPatches(inputs, placed, batch, spec);
    else placed.set(inputs);
    return placed;
  }

  #isPooling(stage: number): boolean {
    return stage === this.network.stages.length - 1;
  }

  /** What pooling reads of the last block's output: of texts one token, of images all there is. Takes `y` over. */
  #pick(y: Float32Array, inputs: InputArray, batch: number): Float32Array {
    const { spec } = this.network;
    if (spec.family !== "text") return y;
    const picked = this.runner.pool.take(batch * spec.width);
    gatherRows(y, lastTokenRows(inputs, spec.contextLength), spec.width, picked);
    this.runner.pool.give(y);
    return picked;
  }

  /** The adjoint of `#pick`. Takes `dPicked` over. */
  #unpick(dPicked: Float32Array, { inputs, batch }: Trace): Float32Array {
    const { spec } = this.network;
    if (spec.family !== "text") return dPicked;
    const rows = this.runner.pool.take(batch * spec.contextLength * spec.width);
    scatterRows(dPicked, lastTokenRows(inputs, spec.contextLength), spec.width, rows);
    this.runner.pool.give(dPicked);
    return rows;
  }

  #release(saved: SavedActivations | null): void {
    for (const array of Object.values(saved ?? {})) this.runner.pool.give(array);
  }

  /** Features of inputs and what is kept of the way there. */
  async forward(inputs: InputArray, batch: number, { values, steps }: EvaluationPoint, keep: Keep): Promise<Trace> {
    const { runner } = this;
    const { stages } = this.network;
    let x = this.#embedTexts(inputs, batch, values) ?? this.#placeImages(inputs, batch);
    let tx = steps === null ? null : this.#embedTexts(inputs, batch, steps);
    const kept: Float32Array[] = [];
    const activations: (SavedActivations | null)[] = [];
    for (const [index, stage] of stages.entries()) {
      if (this.#isPooling(index)) {
        x = this.#pick(x, inputs, batch);
        if (tx !== null) tx = this.#pick(tx, inputs, batch);
      }
      const { y, saved } = await runner.forward(stage, x, batch, values, keep === "all" || steps !== null);
      if (steps !== null) {
        const ty: Float32Array = await runner.tangent(stage, x, saved, tx, batch, values, steps);
        if (tx !== null) runner.pool.give(tx);
        tx = ty;
      }
      activations.push(keep === "all" ? saved : null);
      if (keep !== "all") this.#release(saved);
      if (keep === "nothing") runner.pool.give(x);
      else kept.push(x);
      x = y;
    }
    if (tx !== null) {
      const change = tx;
      x.forEach((value, i) => { x[i] = value + change[i]!; });
      runner.pool.give(change);
    }
    const read = this.network.spec.family === "text" ? inputs : NOTHING;
    return { batch, inputs: read, x: kept, saved: activations, features: x };
  }

  /** The gradients of all blocks, from dL/d(features), into the collector. `values` are those of the forward pass. */
  async backward(trace: Trace, featureGradients: Float32Array, values: BlockValues, collector: GradientCollector): Promise<void> {
    const { batch, x, saved } = trace;
    const { runner } = this;
    const { stages } = this.network;
    let dy: Float32Array | null = null;
    for (let index = stages.length - 1; index >= 0; index--) {
      const kept = saved[index] ?? await this.#recompute(index, trace, values);
      const gradient: Float32Array = dy ?? featureGradients;
      const dx = await runner.backward(stages[index]!, x[index]!, kept, gradient, batch, values, collector);
      if (saved[index] === null) this.#release(kept);
      if (dy !== null) runner.pool.give(dy);
      dy = dx !== null && this.#isPooling(index) ? this.#unpick(dx, trace) : dx;
    }
    if (dy === null) return;
    await this.#embedGradient(dy, trace, collector);
    runner.pool.give(dy);
  }

  async #recompute(index: number, { batch, x }: Trace, values: BlockValues): Promise<SavedActivations> {
    const { y, saved } = await this.runner.forward(this.network.stages[index]!, x[index]!, batch, values, true);
    this.runner.pool.give(y);
    return saved;
  }

  async #embedGradient(dx: Float32Array, { inputs }: Trace, collector: GradientCollector): Promise<void> {
    const { spec } = this.network;
    const blocks = embeddingBlocks(this.network);
    if (spec.family !== "text" || blocks === null) return;
    embedTokensGradient(inputs, dx, spec, collector.buffer(blocks.tokens), collector.buffer(blocks.positions));
    await collector.take([blocks.tokens, blocks.positions]);
  }

  /** Gives the memory of a trace back. */
  release({ x, saved, features }: Trace): void {
    for (const array of [...x, features]) this.runner.pool.give(array);
    saved.forEach((activations) => this.#release(activations));
  }
}
