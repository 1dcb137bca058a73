import { sizeOf } from "@atlas-tv/core";
import type { BufferPool } from "./buffer-pool.js";
import type { BlockValues, GradientCollector } from "./composed-parameters.js";
import { Graph } from "./graph.js";
import type { Tensor } from "./onnxruntime.js";
import { floatTensor, type Program, type ProgramCache } from "./program.js";
import type { Stage, StageKind } from "./stage.js";

/** Activations of one stage that its backward pass reads, by slot. */
export type SavedActivations = Readonly<Record<string, Float32Array>>;

export interface StageOutput {
  readonly y: Float32Array;
  readonly saved: SavedActivations;
}

type Purpose = "infer" | "forward" | "backward" | "tangent";

function graphOf(kind: StageKind, purpose: Purpose): Graph {
  const graph = new Graph();
  if (purpose === "backward") kind.backward(graph);
  else if (purpose === "tangent") kind.tangent(graph);
  else kind.forward(graph, purpose === "forward");
  return graph;
}

/** The blocks of a stage, each once. */
export function blocksOf({ bindings }: Stage): string[] {
  return [...new Set(Object.values(bindings).map(({ block }) => block))];
}

/** Runs the programs of stages on a composed model. Arrays come from the pool; who receives one gives it back. */
export class StageRunner {
  /** @param constants the buffers of the base model. */
  constructor(readonly programs: ProgramCache, readonly pool: BufferPool, readonly constants: BlockValues = new Map()) {}

  #program({ kind }: Stage, purpose: Purpose): Promise<Program> {
    return this.programs.get(`${kind.key}/${purpose}`, () => graphOf(kind, purpose), kind.workspace === undefined);
  }

  /** The part of each bound block that a parameter slot means. */
  #parameters({ kind, bindings }: Stage, array: (block: string) => Float32Array, prefix = ""): Map<string, Tensor> {
    return new Map(kind.parameters.map(({ name, shape }) => {
      const { block, offset } = bindings[name]!;
      return [prefix + name, floatTensor(array(block).subarray(offset, offset + sizeOf(shape)), shape)];
    }));
  }

  /** Parameters and constants. */
  #model(stage: Stage, parameters: BlockValues): Map<string, Tensor> {
    const constants = (stage.kind.constants ?? []).map(({ name, shape }): [string, Tensor] => {
      return [name, floatTensor(this.constants.get(stage.constants![name]!)!, shape)];
    });
    return new Map([...this.#parameters(stage, (block) => parameters.get(block)!), ...constants]);
  }

  /** y of a stage; with `save`, also what `backward` reads beside x. */
  async forward(stage: Stage, x: Float32Array, batch: number, parameters: BlockValues, save: boolean): Promise<StageOutput> {
    const { kind } = stage;
    const program = await this.#program(stage, save ? "forward" : "infer");
    const feeds = this.#model(stage, parameters);
    feeds.set("x", floatTensor(x, kind.input.shape(batch)));
    const arrays: Record<string, Float32Array> = {};
    const fetches: Record<string, Tensor> = {};
    for (const { name, shape } of [kind.output, ...(save ? kind.saved : [])]) {
      const extent = shape(batch);
      arrays[name] = this.pool.take(sizeOf(extent));
      fetches[name] = floatTensor(arrays[name], extent);
    }
    await program.run(Object.fromEntries(feeds), fetches);
    const { y, ...saved } = arrays;
    return { y: y!, saved };
  }

  /** What is known of a stage after its forward pass, by program input. */
  #known(stage: Stage, x: Float32Array, saved: SavedActivations, batch: number, parameters: BlockValues): Map<string, Tensor> {
    const { kind } = stage;
    const known = this.#model(stage, parameters);
    known.set("x", floatTensor(x, kind.input.shape(batch)));
    for (const { name, shape } of kind.saved) known.set(name, floatTensor(saved[name]!, shape(batch)));
    return known;
  }

  /** The change of y to first order, from those of x (null for the first stage of images) and of the parameters. */
  async tangent(
    stage: Stage,
    x: Float32Array,
    saved: SavedActivations,
    tx: Float32Array | null,
    batch: number,
    parameters: BlockValues,
    steps: BlockValues,
  ): Promise<Float32Array> {
    const { kind } = stage;
    const program = await this.#program(stage, "tangent");
    const known = this.#known(stage, x, saved, batch, parameters);
    for (const [name, step] of this.#parameters(stage, (block) => steps.get(block)!, "t_")) known.set(name, step);
    if (tx !== null) known.set("t_x", floatTensor(tx, kind.input.shape(batch)));
    const shape = kind.output.shape(batch);
    const ty = this.pool.take(sizeOf(shape));
    await program.run(Object.fromEntries(program.inputs.map((name) => [name, known.get(name)!])), { t_y: floatTensor(ty, shape) });
    return ty;
  }

  /** dx of a stage (null for the first) from dy; hands the gradients of its blocks to the collector. */
  async backward(
    stage: Stage,
    x: Float32Array,
    saved: SavedActivations,
    dy: Float32Array,
    batch: number,
    parameters: BlockValues,
    collector: GradientCollector,
  ): Promise<Float32Array | null> {
    const { kind } = stage;
    const program = await this.#program(stage, "backward");
    const known = this.#known(stage, x, saved, batch, parameters);
    known.set("d_y", floatTensor(dy, kind.output.shape(batch)));
    const fetches = this.#parameters(stage, (block) => collector.buffer(block), "d_");
    const dx = kind.passesGradient ? this.pool.take(sizeOf(kind.input.shape(batch))) : null;
    if (dx !== null) fetches.set("d_x", floatTensor(dx, kind.input.shape(batch)));
    await program.run(Object.fromEntries(program.inputs.map((name) => [name, known.get(name)!])), Object.fromEntries(fetches));
    await collector.take(blocksOf(stage));
    return dx;
  }
}
