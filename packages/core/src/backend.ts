import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { Composition, NamedArrays } from "./composition.js";
import type { DeviceRates } from "./device-rates.js";
import type { EncoderSpec } from "./encoder-spec.js";
import type { NamedHostTensors } from "./state-dict.js";
import type { TaskVector } from "./task-vector.js";

/** What a backend found out about itself. */
export interface BackendReport {
  readonly usable: boolean;
  /** For people: processor or graphics adapter. */
  readonly device: string;
  readonly versions: Readonly<Record<string, string>>;
  /** What is missing and how to get it; empty when usable. */
  readonly missing: readonly string[];
}

/** How an encoder is computed; no option but `mode` changes what is computed. */
export interface CompileOptions {
  /** "linearised": features are f(x; θ0) + J·(θ − θ0), the first-order model at θ0. Default "standard". */
  readonly mode?: "standard" | "linearised";
  /** Rows of a batch computed at once by `features`; bounds memory, not results. */
  readonly microBatch?: number;
  /** Recompute activations in the backward pass rather than keep them. */
  readonly recompute?: boolean;
  /** Threads for backends that have them; default all cores. */
  readonly threads?: number;
  /** Called once for each thing the backend cannot do itself and leaves to the default implementation. */
  readonly onFallback?: (what: string) => void;
}

/** Computes features of composed encoders and derivatives with respect to the coefficients. */
export interface Backend {
  /** "cpu", "webgpu", "cuda", yours. */
  readonly id: string;
  probe(): Promise<BackendReport>;
  /** Registers and selects the tfjs backend that heads and objectives run on. Idempotent. */
  activate(): Promise<void>;
  /**
   * A short probe of what computes encoders, after `activate`. Without this method it is the active tfjs backend
   * (`measureTensorRates`).
   */
  measure?(): Promise<DeviceRates>;
  /**
   * @param base   θ0: every block of `spec.blocks` (and buffer) by name, shapes as specified.
   * @param vectors n task vectors with the blocks of `spec`; a block that a vector lacks counts as zero.
   * @throws InputError when a block is missing or wrongly shaped.
   */
  compile(
    spec: EncoderSpec,
    base: NamedHostTensors,
    vectors: readonly TaskVector[],
    composition: Composition,
    options?: CompileOptions,
  ): Promise<CompiledEncoder>;
}

/** An encoder, its base and its task vectors on a backend, ready to be composed. */
export interface CompiledEncoder {
  readonly spec: EncoderSpec;
  readonly composition: Composition;
  /** n */
  readonly vectorCount: number;
  /** The values that learning starts from. */
  initialCoefficients(): NamedArrays;
  /** Composes once; the result serves any number of batches until it is disposed. */
  compose(coefficients: NamedArrays): Promise<ComposedEncoder>;
  /** Replaces the task vectors without compiling anew (budget groups); n may change. */
  setVectors(vectors: readonly TaskVector[]): Promise<void>;
  dispose(): void;
}

/** One set of coefficients applied. */
export interface ComposedEncoder {
  /** Features `(batch, D)`, not normalised, of images `(batch, H, W, 3)` or token ids `(batch, T)`. No gradient is kept. */
  features(inputs: Tensor): Promise<Tensor2D>;
  /** Features and what the backward pass needs. */
  forward(inputs: Tensor): Promise<ForwardPass>;
  dispose(): void;
}

/** One batch on its way through a composed encoder; whoever asked for it disposes it. */
export interface ForwardPass {
  /** `(batch, D)`; owned by the pass, gone after `dispose`. */
  readonly features: Tensor2D;
  /** dL/d(coefficients) from dL/d(features) `(batch, D)`. At most once. */
  backward(featureGradients: Tensor2D): Promise<NamedArrays>;
  dispose(): void;
}
