import { availableParallelism, freemem } from "node:os";
import { InputError, sizeOf, type Composition, type EncoderSpec } from "@atlas-tv/core";
import { networkOf } from "./network.js";
import { blocksOf } from "./stage-runner.js";

const FLOAT_BYTES = 4;

/** What programs hold for temporary results, relative to the largest saved activations. Measured, rounded up. */
const WORKSPACE = 8;

/** What onnxruntime takes per session and thread for packed matrices. */
const PACKING_BYTES = 8 * 2 ** 20;

/**
 * What the C library keeps of memory that programs gave back: a heap of 64 MiB for each of the four threads on which
 * Node runs programs.
 */
const RETAINED_BYTES = 4 * 64 * 2 ** 20;

export interface MemoryPlan {
  readonly batch: number;
  readonly composition: Composition["kind"];
  readonly linearised?: boolean;
  /** Whether the backward pass recomputes activations. */
  readonly recompute?: boolean;
  /** False for features alone. */
  readonly gradient?: boolean;
}

/** Bytes that an encoder makes beside the base and the task vectors, which stay where they are. */
export interface MemoryNeed {
  /** Composed parameters. */
  readonly parameters: number;
  /** Gradients: those of one stage at a time, or of all blocks when the composition is dense. */
  readonly gradients: number;
  readonly activations: number;
  /** Temporary results inside programs. */
  readonly workspace: number;
  readonly total: number;
}

/** Foresees the memory of one step with `batch` rows, within a fifth of what was measured for ViT-B/32 and RN50. */
export function estimateMemory(spec: EncoderSpec, plan: MemoryPlan): MemoryNeed {
  const { stages } = networkOf(spec);
  const { batch, composition, linearised = false, recompute = false, gradient = true } = plan;
  const sizes = new Map(spec.blocks.map(({ name, shape }) => [name, sizeOf(shape)]));
  const all = spec.blocks.reduce((sum, { kind, shape }) => sum + (kind === "leftover" ? 0 : sizeOf(shape)), 0);
  const ofStage = stages.map((stage) => blocksOf(stage).reduce((sum, block) => sum + sizes.get(block)!, 0));
  const saved = stages.map(({ kind }) => kind.saved.reduce((sum, { shape }) => sum + sizeOf(shape(batch)), 0));
  const inputs = stages.map(({ kind }) => sizeOf(kind.input.shape(batch)));
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const kept = recompute ? sum(inputs) + Math.max(...saved) : sum(inputs) + sum(saved);
  const temporary = stages.map(({ kind }, i) => kind.workspace?.(batch) ?? WORKSPACE * saved[i]!);
  const retained = stages.some(({ kind }) => kind.workspace !== undefined) ? RETAINED_BYTES : 0;
  const passing = 2 * Math.max(...inputs) + (linearised ? Math.max(...saved) : 0);
  const need = {
    parameters: FLOAT_BYTES * (composition === "dense" && !linearised ? 0 : all),
    gradients: FLOAT_BYTES * (gradient ? (composition === "dense" ? all : Math.max(...ofStage)) : 0),
    activations: FLOAT_BYTES * (gradient ? kept + passing : passing),
    workspace: FLOAT_BYTES * Math.max(...temporary) + PACKING_BYTES * availableParallelism() + retained,
  };
  return { ...need, total: need.parameters + need.gradients + need.activations + need.workspace };
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 1e9 ? 3 : 1)} GB`;

/** Memory that this process may still take: what the system and its control group leave. */
export function availableMemory(): number {
  return typeof process.availableMemory === "function" ? process.availableMemory() : freemem();
}

/** Refuses work that would not fit, before it begins. */
export class MemoryBudget {
  readonly #granted = new Set<string>();
  /** Bytes of the largest plan that fitted: what it took is kept and used again, workspace included. */
  #taken = 0;

  /** @param limit bytes that the encoders of a backend may hold; default what is free when asked. */
  constructor(readonly spec: EncoderSpec, readonly limit?: number) {}

  /**
   * @param held bytes that earlier steps took and this one uses again.
   * @throws InputError saying by how much the plan exceeds what is free, and which options would help.
   */
  require(where: string, plan: MemoryPlan, held: number): void {
    const key = JSON.stringify(plan);
    if (this.#granted.has(key)) return;
    const need = estimateMemory(this.spec, plan);
    const available = this.limit ?? availableMemory() + held;
    if (need.total <= Math.max(available, this.#taken)) {
      this.#taken = Math.max(need.total, this.#taken);
      this.#granted.add(key);
      return;
    }
    const { parameters, gradients, activations, workspace, total } = need;
    const parts = [
      `parameters ${gigabytes(parameters)}`,
      `gradients ${gigabytes(gradients)}`,
      `activations and temporary results ${gigabytes(activations + workspace)}`,
    ];
    throw new InputError({
      where,
      got: `${gigabytes(available)} of memory to use, ${gigabytes(need.total - available)} too little`,
      expected: `${gigabytes(total)} for ${plan.batch} rows (${parts.join(", ")})`,
      next: this.#advice(plan, available),
    });
  }

  #advice(plan: MemoryPlan, available: number): string {
    const fits = (changed: Partial<MemoryPlan>): boolean => estimateMemory(this.spec, { ...plan, ...changed }).total <= available;
    const total = (changed: Partial<MemoryPlan>): string => gigabytes(estimateMemory(this.spec, { ...plan, ...changed }).total);
    const recompute = plan.gradient !== false;
    if (recompute && plan.recompute !== true && fits({ recompute })) return `the option recompute needs ${total({ recompute })}`;
    for (let rows = Math.floor(plan.batch / 2); rows >= 1; rows = Math.floor(rows / 2)) {
      if (fits({ batch: rows })) return `micro-batches of ${rows} rows need ${total({ batch: rows })}`;
      if (!recompute || !fits({ batch: rows, recompute })) continue;
      return `micro-batches of ${rows} rows with the option recompute need ${total({ batch: rows, recompute })}`;
    }
    return "free memory, or take a smaller model: one row alone does not fit";
  }
}
