import * as tf from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { CompiledEncoder, CompileOptions, ComposedEncoder, ForwardPass } from "./backend.js";
import { BlockComposer, disposeBlocks, type BlockTensors } from "./block-composer.js";
import type { MakeBlockStore } from "./block-store.js";
import { checkBlocks } from "./check-blocks.js";
import type { Composition, NamedArrays } from "./composition.js";
import { encoderFunction, type EncoderFunction } from "./encoder-families.js";
import { inputShape, type EncoderSpec } from "./encoder-spec.js";
import { sameShape } from "./element-type.js";
import { InputError } from "./errors.js";
import { registerGradients } from "./gradients.js";
import type { NamedHostTensors } from "./state-dict.js";
import type { TaskVector } from "./task-vector.js";

function checkVectors(spec: EncoderSpec, vectors: readonly TaskVector[]): void {
  for (const { name, blocks } of vectors) checkBlocks(spec, blocks, `task vector "${name}"`, { partial: true });
}

/** Inputs of the right shape and, for text, ids within the vocabulary: a kernel would read beyond its table. */
async function checkInputs(spec: EncoderSpec, inputs: Tensor): Promise<void> {
  const expected = inputShape(spec, inputs.shape[0] ?? 0);
  if (!sameShape(inputs.shape, expected)) {
    throw new InputError({
      where: `inputs of the ${spec.family} encoder`,
      got: `shape [${inputs.shape.join(", ")}]`,
      expected: `shape [batch, ${expected.slice(1).join(", ")}]`,
    });
  }
  if (spec.family !== "text") return;
  const wrong = (await inputs.data()).find((id) => !(id >= 0 && id < spec.vocabularySize));
  if (wrong === undefined) return;
  throw new InputError({
    where: "token ids",
    got: String(wrong),
    expected: `ids from 0 to ${spec.vocabularySize - 1}`,
    next: "use the tokenizer of this model",
  });
}

/** The network as a function of its blocks alone, with the derivatives that the encoder needs of it. */
class Network {
  /** @param buffers constants, which the network owns. */
  constructor(readonly features: EncoderFunction, readonly buffers: BlockTensors) {}

  evaluate(blocks: BlockTensors, inputs: Tensor): Tensor2D {
    return this.features((name) => blocks.get(name)!, inputs, (name) => this.buffers.get(name)!);
  }

  /** dL/d(block) for every block, from dL/d(features) `(batch, D)`. */
  pullBack(blocks: BlockTensors, inputs: Tensor, featureGradients: Tensor): BlockTensors {
    const names = [...blocks.keys()];
    const gradients = tf.grads((...values: Tensor[]) => {
      const given = new Map(names.map((name, i) => [name, values[i]!]));
      return this.evaluate(given, inputs);
    })([...blocks.values()], featureGradients);
    return new Map(names.map((name, i) => [name, gradients[i]!]));
  }

  /** J · Δ `(batch, D)`: the derivative of u ↦ ⟨Jᵀu, Δ⟩, which is linear in u. */
  pushForward(blocks: BlockTensors, inputs: Tensor, steps: BlockTensors, shape: readonly [number, number]): Tensor2D {
    const inner = (u: Tensor): Scalar => {
      const gradients = this.pullBack(blocks, inputs, u);
      return tf.addN([...gradients].map(([name, gradient]) => tf.sum(tf.mul(gradient, steps.get(name)!)))) as Scalar;
    };
    return tf.grad(inner)(tf.zeros([...shape])) as Tensor2D;
  }

  dispose(): void {
    disposeBlocks(this.buffers);
  }
}

/** What the default implementation takes beside the options of `compile`. */
export interface DefaultCompileOptions extends CompileOptions {
  /** Where base and task vectors are kept; default in host memory. */
  readonly store?: MakeBlockStore;
}

interface Composed {
  readonly composer: BlockComposer;
  readonly coefficients: NamedArrays;
  /** Where derivatives are taken: θ, or θ0 when linearised. */
  readonly blocks: BlockTensors;
  /** Δ when linearised. */
  readonly steps: BlockTensors | null;
  readonly microBatch: number;
}

class DefaultComposedEncoder implements ComposedEncoder {
  #disposed = false;

  constructor(readonly network: Network, readonly state: Composed) {
    state.composer.hold();
  }

  #evaluate(inputs: Tensor): Tensor2D {
    const { blocks, steps } = this.state;
    return tf.tidy(() => {
      const features = this.network.evaluate(blocks, inputs);
      if (steps === null) return features;
      return tf.add(features, this.network.pushForward(blocks, inputs, steps, features.shape)) as Tensor2D;
    });
  }

  async features(inputs: Tensor): Promise<Tensor2D> {
    await checkInputs(this.state.composer.spec, inputs);
    const batch = inputs.shape[0]!;
    const { microBatch } = this.state;
    if (batch <= microBatch) return this.#evaluate(inputs);
    return tf.tidy(() => {
      const parts: Tensor2D[] = [];
      for (let from = 0; from < batch; from += microBatch) {
        const rest = inputs.shape.slice(1).map(() => 0);
        const part = tf.slice(inputs, [from, ...rest], [Math.min(microBatch, batch - from), ...inputs.shape.slice(1)]);
        parts.push(this.#evaluate(part));
      }
      return tf.concat(parts, 0) as Tensor2D;
    });
  }

  async forward(inputs: Tensor): Promise<ForwardPass> {
    await checkInputs(this.state.composer.spec, inputs);
    const { blocks, coefficients, composer } = this.state;
    const features = this.#evaluate(inputs);
    const kept = inputs.clone();
    let done = false;
    let disposed = false;
    return {
      features,
      backward: async (featureGradients) => {
        if (done || disposed) throw new Error(`backward: the pass was ${disposed ? "disposed" : "taken back"} already`);
        done = true;
        if (!sameShape(featureGradients.shape, features.shape)) {
          throw new InputError({
            where: "backward",
            got: `gradients [${featureGradients.shape.join(", ")}]`,
            expected: `the shape of the features, [${features.shape.join(", ")}]`,
          });
        }
        // tfjs keeps no tape between calls: the forward pass is computed anew.
        const gradients = this.network.pullBack(blocks, kept, featureGradients);
        try {
          return await composer.reduce(gradients, coefficients);
        } finally {
          disposeBlocks(gradients);
        }
      },
      dispose: () => {
        if (disposed) return;
        disposed = true;
        tf.dispose([features, kept]);
      },
    };
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.network.dispose();
    disposeBlocks(this.state.blocks);
    if (this.state.steps !== null) disposeBlocks(this.state.steps);
    this.state.composer.release();
  }
}

class DefaultCompiledEncoder implements CompiledEncoder {
  #composer: BlockComposer | null;
  readonly #features: EncoderFunction;

  constructor(
    composer: BlockComposer,
    readonly spec: EncoderSpec,
    readonly composition: Composition,
    readonly options: DefaultCompileOptions,
  ) {
    this.#composer = composer;
    this.#features = encoderFunction(spec);
  }

  #live(): BlockComposer {
    if (this.#composer === null) throw new Error("the compiled encoder was disposed");
    return this.#composer;
  }

  get vectorCount(): number {
    return this.#live().vectors.length;
  }

  initialCoefficients(): NamedArrays {
    return this.composition.initial(this.spec.blocks, this.vectorCount, this.#live().base);
  }

  compose(coefficients: NamedArrays): Promise<ComposedEncoder> {
    return new Promise((resolve) => {
      const composer = this.#live();
      // The caller may go on to change its arrays in place, as an optimiser does.
      const own = Object.fromEntries(Object.entries(coefficients).map(([name, values]) => [name, values.slice()]));
      const linearised = this.options.mode === "linearised";
      const state: Composed = {
        composer,
        coefficients: own,
        steps: linearised ? composer.steps(own) : null,
        blocks: linearised ? composer.baseBlocks() : composer.compose(own),
        microBatch: this.options.microBatch ?? Infinity,
      };
      resolve(new DefaultComposedEncoder(new Network(this.#features, composer.baseBuffers()), state));
    });
  }

  setVectors(vectors: readonly TaskVector[]): Promise<void> {
    return new Promise((resolve) => {
      const old = this.#live();
      const { spec, base, composition } = old;
      checkVectors(spec, vectors);
      this.#composer = new BlockComposer(spec, base, vectors, composition, this.options.store);
      old.release();
      resolve();
    });
  }

  dispose(): void {
    this.#composer?.release();
    this.#composer = null;
  }
}

/**
 * An encoder on plain tfjs, on whatever backend is active: the definition of correct. Base and task vectors stay in
 * host memory as they are unless `store` keeps them elsewhere; only composed blocks are tensors. `backward` recomputes
 * the forward pass, so the option `recompute` changes nothing here, nor does `threads`. Encoders composed before
 * `setVectors` keep their vectors.
 * @throws InputError when a block is missing, unexpected, wrongly shaped or not finite.
 */
export function compileDefault(
  spec: EncoderSpec,
  base: NamedHostTensors,
  vectors: readonly TaskVector[],
  composition: Composition,
  options: DefaultCompileOptions = {},
): Promise<CompiledEncoder> {
  return new Promise((resolve) => {
    registerGradients();
    const { microBatch } = options;
    if (microBatch !== undefined && !(Number.isInteger(microBatch) && microBatch >= 1)) {
      throw new InputError({ where: "microBatch", got: String(microBatch), expected: "a positive number of rows" });
    }
    checkBlocks(spec, base, "the base model");
    checkVectors(spec, vectors);
    const composer = new BlockComposer(spec, base, vectors, composition, options.store);
    resolve(new DefaultCompiledEncoder(composer, spec, composition, options));
  });
}
