/**
 * The encoder as a chain of stages: embedding, residual blocks, pooling. Stages of one kind share their programs;
 * parameters are inputs of the programs, not constants. Activations are rows, `(batch · tokens, width)`, those of a
 * ResNet images, `(batch, channels, height, width)`.
 */
import type { Graph, Value } from "./graph.js";

/** A tensor of a stage whose size grows with the batch. */
export interface ActivationSlot {
  readonly name: string;
  /** Its shape for a batch of B. */
  readonly shape: (batch: number) => readonly number[];
}

/** A parameter of a stage: a block, or whole rows of one. Or a constant: a whole buffer. */
export interface ParameterSlot {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What stages of one kind compute. Each method builds one program. */
export interface StageKind {
  /** Distinguishes kinds; programs are cached under it. */
  readonly key: string;
  readonly parameters: readonly ParameterSlot[];
  /** Tensors of the base model that are neither composed nor trained, inputs of the programs too. */
  readonly constants?: readonly ParameterSlot[];
  readonly input: ActivationSlot;
  readonly output: ActivationSlot;
  /** Activations that `forward` keeps for `backward`, beside its input. */
  readonly saved: readonly ActivationSlot[];
  /**
   * How many numbers the backward program holds for temporary results. Programs of a kind that says so give them back
   * after each run, which encoders of many kinds need; others keep them, a multiple of what is saved, and are faster.
   */
  readonly workspace?: (batch: number) => number;
  /** Whether `backward` has the gradient of the input, `d_x`: the first stage has none. */
  readonly passesGradient: boolean;
  /** x, parameters → y; with `save`, the saved activations too. */
  forward(graph: Graph, save: boolean): void;
  /** d_y, x, saved activations, parameters → d_x and `d_` of every parameter. */
  backward(graph: Graph): void;
  /**
   * x, saved activations, parameters, and small changes `t_x` of x (but for the first stage) and `t_` of every
   * parameter → `t_y`, the change of y to first order (Jacobian-vector product).
   */
  tangent(graph: Graph): void;
}

/** Declares parameters as inputs, each under `prefix` and its name. */
export function declareParameters(
  graph: Graph,
  slots: readonly ParameterSlot[],
  wanted?: readonly string[],
  prefix = "",
): Record<string, Value> {
  const own = wanted === undefined ? slots : slots.filter(({ name }) => wanted.includes(name));
  return Object.fromEntries(own.map(({ name, shape }) => [name, graph.input(prefix + name, shape)]));
}

/** Where a parameter of a stage lives: a block of the spec, from an element on. */
export interface Binding {
  readonly block: string;
  readonly offset: number;
}

/** One stage of an encoder. */
export interface Stage {
  readonly kind: StageKind;
  /** By parameter slot. */
  readonly bindings: Readonly<Record<string, Binding>>;
  /** Names of buffers, by constant slot. */
  readonly constants?: Readonly<Record<string, string>>;
}
