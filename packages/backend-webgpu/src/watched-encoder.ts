import type {
  CompiledEncoder, ComposedEncoder, Composition, EncoderSpec, ForwardPass, NamedArrays, TaskVector,
} from "@atlas-tv/core";
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { DeviceWatch } from "./device-watch.js";

/** Throws when so many rows at once do not fit. */
type CheckRows = (rows: number) => void;

class WatchedComposedEncoder implements ComposedEncoder {
  constructor(
    readonly inner: ComposedEncoder,
    readonly watch: DeviceWatch,
    readonly checkRows: CheckRows,
    readonly microBatch: number,
  ) {}

  async features(inputs: Tensor): Promise<Tensor2D> {
    this.checkRows(Math.min(inputs.shape[0] ?? 0, this.microBatch));
    return this.watch.run(() => this.inner.features(inputs), (tensor) => tensor.dispose());
  }

  async forward(inputs: Tensor): Promise<ForwardPass> {
    this.checkRows(inputs.shape[0] ?? 0);
    const { watch } = this;
    const pass = await watch.run(() => this.inner.forward(inputs), (made) => made.dispose());
    return {
      features: pass.features,
      backward: (featureGradients) => watch.run(() => pass.backward(featureGradients)),
      dispose: () => pass.dispose(),
    };
  }

  dispose(): void {
    this.inner.dispose();
  }
}

/** An encoder whose every call on the device reports what the device reports, as errors that say what to do. */
export class WatchedEncoder implements CompiledEncoder {
  constructor(
    readonly inner: CompiledEncoder,
    readonly watch: DeviceWatch,
    readonly checkRows: CheckRows,
    readonly microBatch: number,
  ) {}

  get spec(): EncoderSpec {
    return this.inner.spec;
  }

  get composition(): Composition {
    return this.inner.composition;
  }

  get vectorCount(): number {
    return this.inner.vectorCount;
  }

  initialCoefficients(): NamedArrays {
    return this.inner.initialCoefficients();
  }

  async compose(coefficients: NamedArrays): Promise<ComposedEncoder> {
    const composed = await this.watch.run(() => this.inner.compose(coefficients), (made) => made.dispose());
    return new WatchedComposedEncoder(composed, this.watch, this.checkRows, this.microBatch);
  }

  setVectors(vectors: readonly TaskVector[]): Promise<void> {
    return this.watch.run(() => this.inner.setVectors(vectors));
  }

  dispose(): void {
    this.inner.dispose();
  }
}
