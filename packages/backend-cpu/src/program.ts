import { encodeOnnxModel } from "@atlas-tv/core";
import type { Graph } from "./graph.js";
import { InferenceSession, Tensor } from "./onnxruntime.js";
import { canRunWithoutCopies, runWithoutCopies, withoutCopies } from "./result-copies.js";

/** Tensors by name of a program's input or output. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** A float32 tensor over an array, which is not copied. */
export function floatTensor(data: Float32Array, shape: readonly number[]): Tensor {
  return new Tensor("float32", data, shape);
}

/** A compiled graph. */
export class Program {
  private constructor(readonly session: InferenceSession, readonly copiesResults: boolean) {}

  /** @param keepsMemory whether the memory of temporary results is kept for the next run. */
  static async create(graph: Graph, threads: number, keepsMemory = true): Promise<Program> {
    const copiesResults = !(await canRunWithoutCopies());
    const model = copiesResults ? graph.model() : withoutCopies(graph.model());
    const session = await InferenceSession.create(Buffer.concat([...encodeOnnxModel(model)]), {
      intraOpNumThreads: threads,
      executionMode: "sequential",
      graphOptimizationLevel: "all",
      enableMemPattern: false,
      enableCpuMemArena: keepsMemory,
      // Threads that spin while they wait take the cores from other programs and from whatever else runs: waking them
      // costs a small model a tenth of its time on an idle machine, and spinning costs it half on a busy one.
      extra: { session: { intra_op: { allow_spinning: "0" } } },
    });
    return new Program(session, copiesResults);
  }

  get inputs(): readonly string[] {
    return this.session.inputNames;
  }

  /** Runs the program; results are written into the arrays of `outputs`. */
  async run(inputs: Tensors, outputs: Tensors): Promise<void> {
    if (this.copiesResults) await this.session.run(inputs, outputs);
    else await runWithoutCopies(this.session, inputs, outputs);
  }

  release(): void {
    void this.session.release();
  }
}

/** Programs by key, each made when it is first asked for. */
export class ProgramCache {
  readonly #programs = new Map<string, Promise<Program>>();

  constructor(readonly threads: number) {}

  get(key: string, graph: () => Graph, keepsMemory = true): Promise<Program> {
    const known = this.#programs.get(key);
    if (known !== undefined) return known;
    const made = Program.create(graph(), this.threads, keepsMemory);
    this.#programs.set(key, made);
    return made;
  }

  release(): void {
    for (const program of this.#programs.values()) void program.then((made) => made.release(), () => undefined);
    this.#programs.clear();
  }
}
