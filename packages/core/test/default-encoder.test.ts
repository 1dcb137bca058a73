import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { textSpec, visionSpec } from "@atlas-tv/clip";
import {
  blockwise, buffersOf, compileDefault, dense, encode, inputShape, inputTensor, isotropic, lossAndGradients, PlainBackend, Random,
  randomParameters, sizeOf, widen,
  type ComposedEncoder, type Composition, type EncoderInputs, type EncoderSpec, type GeneralComposition, type HostTensor, type IndexedBlock,
  type NamedArrays, type TaskVector,
} from "../src/index.js";
import { closeTo } from "./fixture-files.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

const config = (quickGelu: boolean): Parameters<typeof visionSpec>[0] => ({
  embed_dim: 6,
  quick_gelu: quickGelu,
  vision_cfg: { image_size: 8, layers: 2, width: 8, head_width: 4, patch_size: 4, mlp_ratio: 2 },
  text_cfg: { context_length: 5, vocab_size: 11, width: 8, heads: 2, layers: 2, mlp_ratio: 2 },
});

const resNet = visionSpec({
  ...config(true),
  vision_cfg: { image_size: 64, layers: [1, 2, 1, 1], width: 2, head_width: 16 },
});

const SPECS: [string, EncoderSpec][] = [
  ["vit with quick_gelu", visionSpec(config(true))],
  ["vit with gelu", visionSpec(config(false))],
  ["text", textSpec(config(true))],
  ["resnet", resNet],
];
const BATCH = 3;

function inputsOf(spec: EncoderSpec, random: Random): EncoderInputs {
  if (spec.family === "text") {
    // Repeated ids within and across rows, and the largest id twice in a row.
    return { data: Float32Array.of(8, 1, 1, 10, 0, 8, 2, 10, 3, 10, 8, 1, 7, 6, 10), shape: [BATCH, 5] };
  }
  const shape = inputShape(spec, BATCH);
  return { data: Float32Array.from({ length: sizeOf(shape) }, () => random.normal()), shape };
}

/**
 * Where a model starts, and how far it is moved from there. Channels of a ResNet are well on or well off: a difference
 * of losses would see each ReLU that turns between.
 */
function startOf(spec: EncoderSpec, random: Random): { values: ReadonlyMap<string, Float32Array>; noise: number } {
  const drawn = [...randomParameters(spec, random)].map(([name, tensor]): [string, Float32Array] => [name, widen(tensor)]);
  if (spec.family !== "resnet") {
    return { values: new Map(drawn.map(([name, data]) => [name, data.map((value) => 1.5 * value)])), noise: 0.1 };
  }
  const values = new Map(drawn);
  for (const { name, kind, role } of spec.blocks) {
    if (kind === "convolution") values.set(name, values.get(name)!.map((value) => 0.1 * value));
    if (kind === "norm") values.set(name, values.get(name)!.map((_, channel) => (role === "weight" ? 1 : [4, -4][channel % 2]!)));
  }
  return { values, noise: 0.02 };
}

/** Random everything, with norms and biases away from 1 and 0 so that no gradient is trivially right. */
function modelOf(spec: EncoderSpec, n = 2): { base: Map<string, HostTensor>; vectors: TaskVector[]; inputs: EncoderInputs } {
  const random = new Random("model");
  const { values, noise } = startOf(spec, random);
  const shapes = new Map([...spec.blocks, ...buffersOf(spec)].map(({ name, shape }) => [name, shape]));
  const base = new Map([...values].map(([name, data]): [string, HostTensor] => {
    return [name, { dtype: "F32", shape: shapes.get(name)!, data: data.map((value) => value + noise * random.normal()) }];
  }));
  const vectors = Array.from({ length: n }, (_, v): TaskVector => ({
    name: `v${v}`,
    blocks: new Map(spec.blocks.map(({ name, shape }): [string, HostTensor] => {
      return [name, { dtype: "F32", shape, data: Float32Array.from({ length: sizeOf(shape) }, () => noise * random.normal()) }];
    })),
  }));
  return { base, vectors, inputs: inputsOf(spec, random) };
}

/** A loss that looks at every feature. */
function lossOf(features: tf.Tensor2D): tf.Scalar {
  const weights = tf.tensor(Float32Array.from({ length: features.size }, (_, i) => Math.cos(i + 1)), features.shape);
  return tf.sum(tf.mul(weights, tf.add(features, tf.square(features)))) as tf.Scalar;
}

/** The coefficient gradient of that loss. */
async function gradientOf(composed: ComposedEncoder, inputs: EncoderInputs): Promise<NamedArrays> {
  const { encoders } = await lossAndGradients([{ ...inputs, encoder: composed }], ([features]) => lossOf(features!));
  return encoders.get(composed)!;
}

async function featuresOf(composed: ComposedEncoder, inputs: EncoderInputs): Promise<Float32Array> {
  const features = await encode(composed, inputs);
  const values = Float32Array.from(await features.data());
  features.dispose();
  return values;
}

/** θ0(j) + Σ λᵢ² τᵢ(j): not linear in its coefficients. */
const squared: GeneralComposition = {
  id: "squared",
  kind: "general",
  shapes: (_blocks, n) => ({ root: [n] }),
  initial: (_blocks, n) => ({ root: new Float32Array(n) }),
  compose: (at, base, vectors, { root }) => isotropic().compose(at, base, vectors, { coef: tf.square(root!) }),
  reduce: (at, gradient, vectors, { root }) => ({ root: tf.mul(tf.mul(root!, 2), isotropic().reduce(at, gradient, vectors, {})["coef"]!) }),
};

function drawn(composition: Composition, spec: EncoderSpec, base: ReadonlyMap<string, HostTensor>, n: number): NamedArrays {
  const random = new Random("coefficients");
  const start = composition.initial(spec.blocks, n, base);
  // The coefficients of a dense composition are the weights.
  const spread = composition.kind === "dense" ? 0.02 : 0.3;
  return Object.fromEntries(Object.entries(start).map(([name, values]) => {
    return [name, values.map((value) => value + spread * random.normal())];
  }));
}

describe.each(PLAIN_BACKENDS)("the default encoder on %s", (name) => {
  beforeAll(() => new PlainBackend(name).activate());

  describe.each(SPECS)("%s", (_label, spec) => {
    const { base, vectors, inputs } = modelOf(spec);

    it.each([
      ["isotropic", "standard", isotropic()], ["blockwise", "standard", blockwise()], ["dense", "standard", dense()], ["squared", "standard", squared],
      ["isotropic", "linearised", isotropic()], ["dense", "linearised", dense()], ["squared", "linearised", squared],
    ] as const)("has the directional derivative, %s, %s", async (_id, mode, composition) => {
      const before = tf.memory().numTensors;
      const own = composition.kind === "dense" ? [] : vectors;
      const encoder = await compileDefault(spec, base, own, composition, { mode });
      const at = drawn(composition, spec, base, own.length);
      const random = new Random("direction");
      const direction = Object.fromEntries(Object.entries(at).map(([key, values]) => [key, values.map(() => random.normal())]));
      const valueAt = async (step: number): Promise<number> => {
        const moved = Object.fromEntries(Object.entries(at).map(([key, values]) => {
          return [key, values.map((value, i) => value + step * direction[key]![i]!)];
        }));
        const composed = await encoder.compose(moved);
        const features = await encode(composed, inputs);
        const loss = tf.tidy(() => lossOf(features));
        const [value = NaN] = await loss.data();
        tf.dispose([features, loss]);
        composed.dispose();
        return value;
      };
      const composed = await encoder.compose(at);
      const { encoders, loss } = await lossAndGradients([{ ...inputs, encoder: composed }], ([features]) => lossOf(features!));
      const slope = Object.entries(encoders.get(composed)!).reduce(
        (sum, [key, values]) => sum + values.reduce((total, value, i) => total + value * direction[key]![i]!, 0), 0,
      );
      composed.dispose();
      const step = 2e-3;
      const far = (await valueAt(2 * step) - await valueAt(-2 * step)) / (4 * step);
      const near = (await valueAt(step) - await valueAt(-step)) / (2 * step);
      const richardson = (4 * near - far) / 3;
      expect(loss).toBeCloseTo(await valueAt(0), 4);
      expect(Math.abs(slope - richardson)).toBeLessThan(3e-3 * Math.max(1, Math.abs(slope)));
      encoder.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });

    it("is, when linearised, the tangent of the standard encoder", async () => {
      const features = async (mode: "standard" | "linearised", scale: number): Promise<Float32Array> => {
        const encoder = await compileDefault(spec, base, vectors, isotropic(), { mode });
        const composed = await encoder.compose({ coef: Float32Array.of(scale, -scale) });
        const values = await featuresOf(composed, inputs);
        composed.dispose();
        return values;
      };
      const small = 4e-3;
      const [start, up, down] = [await features("standard", 0), await features("standard", small), await features("standard", -small)];
      const linear = await features("linearised", 1);
      closeTo(await features("linearised", 0), start, 1e-6, "no step");
      const slope = linear.map((value, i) => value - start[i]!);
      closeTo(slope, up.map((value, i) => (value - down[i]!) / (2 * small)), 5e-3, "slope");
      const twice = (await features("linearised", 2)).map((value, i) => value - start[i]!);
      closeTo(twice, slope.map((value) => 2 * value), 1e-5, "two steps");
    });

    it("gives the same features in micro-batches", async () => {
      const before = tf.memory().numTensors;
      const whole = await compileDefault(spec, base, vectors, blockwise());
      const parts = await compileDefault(spec, base, vectors, blockwise(), { microBatch: 2 });
      const coefficients = drawn(blockwise(), spec, base, vectors.length);
      const tensors = await Promise.all([whole, parts].map(async (encoder) => {
        const composed = await encoder.compose(coefficients);
        const features = await encode(composed, inputs);
        composed.dispose();
        return features;
      }));
      closeTo(await tensors[1]!.data(), await tensors[0]!.data(), 1e-6);
      tf.dispose(tensors);
      expect(tf.memory().numTensors).toBe(before);
    });
  });

  const [, spec] = SPECS[0]!;
  const { base, vectors, inputs } = modelOf(spec);

  it("takes a block that a vector lacks for zero", async () => {
    const features = async (vector: TaskVector): Promise<Float32Array> => {
      const encoder = await compileDefault(spec, base, [vector], isotropic());
      const composed = await encoder.compose({ coef: Float32Array.of(0.7) });
      const values = await featuresOf(composed, inputs);
      composed.dispose();
      return values;
    };
    const { blocks } = vectors[0]!;
    const kept = [...blocks].slice(0, 5);
    const zeroed = [...blocks].slice(5).map(([block, { shape }]): [string, HostTensor] => {
      return [block, { dtype: "F32", shape, data: new Float32Array(sizeOf(shape)) }];
    });
    const long = await features({ name: "long", blocks: new Map([...kept, ...zeroed]) });
    expect(await features({ name: "short", blocks: new Map(kept) })).toEqual(long);
  });

  it("replaces its task vectors, and n, while encoders composed before keep theirs", async () => {
    const encoder = await compileDefault(spec, base, vectors, isotropic());
    const old = await encoder.compose({ coef: Float32Array.of(0.5, 0.2) });
    await encoder.setVectors([vectors[1]!]);
    expect(encoder.vectorCount).toBe(1);
    expect(encoder.initialCoefficients()).toEqual({ coef: new Float32Array(1) });
    const fresh = await encoder.compose({ coef: Float32Array.of(0.2) });
    const only = await (await compileDefault(spec, base, [vectors[1]!], isotropic())).compose({ coef: Float32Array.of(0.2) });
    expect(await featuresOf(fresh, inputs)).toEqual(await featuresOf(only, inputs));
    expect((await gradientOf(old, inputs))["coef"]).toHaveLength(2);
    [old, fresh, only].forEach((composed) => composed.dispose());
  });

  it("keeps tensors and buffers flat over 100 steps", async () => {
    const counts = (): number[] => [tf.memory().numTensors, tf.memory().numDataBuffers];
    const before = counts();
    const encoder = await compileDefault(spec, base, vectors, blockwise());
    for (let step = 0; step < 100; step++) {
      const composed = await encoder.compose(drawn(blockwise(), spec, base, vectors.length));
      await gradientOf(composed, inputs);
      composed.dispose();
      await encoder.setVectors(vectors);
      expect(counts()).toEqual(before);
    }
    encoder.dispose();
  });

  it("copies the coefficients it is given", async () => {
    const encoder = await compileDefault(spec, base, vectors, squared);
    const root = Float32Array.of(0.5, 0.2);
    const composed = await encoder.compose({ root });
    const first = await gradientOf(composed, inputs);
    root.fill(9);
    expect(await gradientOf(composed, inputs)).toEqual(first);
    composed.dispose();
  });

  it("gives leftover blocks a gradient of exactly zero", async () => {
    const withLeftovers = visionSpec(config(true), { includeLeftovers: true });
    const full = new Map(base);
    for (const { name: block, shape, kind } of withLeftovers.blocks) {
      if (kind === "leftover") full.set(block, { dtype: "F32", shape, data: new Float32Array(sizeOf(shape)).fill(1) });
    }
    const encoder = await compileDefault(withLeftovers, full, vectors, blockwise());
    const composed = await encoder.compose(encoder.initialCoefficients());
    const gradient = (await gradientOf(composed, inputs))["coef"]!;
    gradient.forEach((value, i) => {
      const { name: block, kind } = withLeftovers.blocks[i % withLeftovers.blocks.length]!;
      expect(value === 0, block).toBe(kind === "leftover");
    });
    composed.dispose();
  });

  it("owns nothing after a pass is disposed, with or without its backward", async () => {
    const encoder = await compileDefault(spec, base, vectors, blockwise());
    const composed = await encoder.compose(encoder.initialCoefficients());
    const tensor = inputTensor(inputs);
    const before = tf.memory().numTensors;
    const forgotten = await composed.forward(tensor);
    forgotten.dispose();
    forgotten.dispose();
    const pass = await composed.forward(tensor);
    await pass.backward(pass.features);
    await expect(pass.backward(pass.features)).rejects.toThrow(/already/);
    pass.dispose();
    await expect(forgotten.backward(tf.scalar(0) as unknown as tf.Tensor2D)).rejects.toThrow(/disposed/);
    expect(tf.memory().numTensors).toBe(before + 1);
    tensor.dispose();
    composed.dispose();
  });

  it("refuses what does not fit, and leaks nothing in doing so", async () => {
    const before = tf.memory().numTensors;
    const short = new Map([...base].slice(1));
    await expect(compileDefault(spec, short, vectors, blockwise())).rejects.toThrow(/the base model[^]*is missing/);
    const odd = { name: "odd", blocks: new Map([["visual.proj", base.get("visual.ln_pre.bias")!]]) };
    await expect(compileDefault(spec, base, [odd], blockwise())).rejects.toThrow(/task vector "odd"[^]*visual\.proj/);
    await expect(compileDefault(spec, base, vectors, blockwise(), { microBatch: 0 })).rejects.toThrow(/microBatch/);
    const other = { ...spec, family: "convnext" } as unknown as EncoderSpec;
    await expect(compileDefault(other, base, [], isotropic())).rejects.toThrow(/convnext[^]*vit, text, resnet/);
    const encoder = await compileDefault(spec, base, vectors, blockwise());
    await expect(encoder.compose({ coef: new Float32Array(3) })).rejects.toThrow(/coef/);
    const strange = { name: "strange", blocks: new Map([["visual.other", base.get("visual.proj")!]]) };
    await expect(encoder.setVectors([strange])).rejects.toThrow(/unexpected/);
    const composed = await encoder.compose(encoder.initialCoefficients());
    await expect(encode(composed, { data: new Float32Array(48), shape: [1, 4, 4, 3] })).rejects.toThrow(/\[batch, 8, 8, 3\]/);
    await expect(encode(composed, inputs, 0)).rejects.toThrow(/microBatch/);
    composed.dispose();
    encoder.dispose();
    expect(() => encoder.initialCoefficients()).toThrow(/disposed/);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("leaks nothing when a composition throws at its last block", async () => {
    const plain = blockwise();
    const last = ({ index, count }: IndexedBlock): void => { if (index === count - 1) throw new Error("at the last block"); };
    const failing = (method: "compose" | "reduce"): GeneralComposition => ({
      id: "failing",
      kind: "general",
      shapes: plain.shapes,
      initial: plain.initial,
      compose: (at, ...rest) => { if (method === "compose") last(at); return plain.compose(at, ...rest); },
      reduce: (at, ...rest) => { if (method === "reduce") last(at); return plain.reduce(at, ...rest); },
    });
    const before = tf.memory().numTensors;
    for (const mode of ["standard", "linearised"] as const) {
      const encoder = await compileDefault(spec, base, vectors, failing("compose"), { mode });
      await expect(encoder.compose(encoder.initialCoefficients())).rejects.toThrow("at the last block");
    }
    const encoder = await compileDefault(spec, base, vectors, failing("reduce"));
    const composed = await encoder.compose(encoder.initialCoefficients());
    const run = lossAndGradients([{ ...inputs, encoder: composed }], ([features]) => tf.sum(features!));
    await expect(run).rejects.toThrow("at the last block");
    composed.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it("refuses token ids outside the vocabulary", async () => {
    const [, text] = SPECS[2]!;
    const encoder = await compileDefault(text, modelOf(text).base, [], isotropic());
    const composed = await encoder.compose(encoder.initialCoefficients());
    await expect(encode(composed, { data: Float32Array.of(1, 2, 3, 4, 11), shape: [1, 5] })).rejects.toThrow(/token ids[^]*11[^]*0 to 10/);
    composed.dispose();
  });
});

describe("PlainBackend", () => {
  it("reports a backend that nobody registered, and will not start it", async () => {
    const backend = new PlainBackend("nonesuch");
    expect(backend.id).toBe("tfjs-nonesuch");
    const report = await backend.probe();
    expect(report.usable).toBe(false);
    expect(report.missing.join()).toContain("nonesuch");
    await expect(backend.activate()).rejects.toThrow(/nonesuch/);
  });

  it("finds the ones that are", async () => {
    for (const name of PLAIN_BACKENDS) expect((await new PlainBackend(name).probe()).usable).toBe(true);
  });
});

describe("randomParameters", () => {
  const [, spec] = SPECS[0]!;

  it("depends on the seed alone", () => {
    const again = randomParameters(spec, new Random(3));
    expect(randomParameters(spec, new Random(3))).toEqual(again);
    expect(randomParameters(spec, new Random(4)).get("visual.proj")).not.toEqual(again.get("visual.proj"));
  });

  it("has unit LayerNorms, zero biases and CLIP's standard deviations", () => {
    const sizes = { image_size: 16, layers: 2, width: 64, head_width: 16, patch_size: 8 };
    const wide = visionSpec({ ...config(true), embed_dim: 32, vision_cfg: sizes });
    const parameters = randomParameters(wide, new Random(5));
    expect([...parameters.keys()]).toEqual(wide.blocks.map(({ name }) => name));
    const deviation = (name: string): number => {
      const data = widen(parameters.get(name)!);
      return Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length);
    };
    const layer = "visual.transformer.resblocks.1";
    expect(new Set(parameters.get(`${layer}.ln_1.weight`)!.data)).toEqual(new Set([1]));
    for (const name of [`${layer}.ln_1.bias`, `${layer}.attn.in_proj_bias`, `${layer}.mlp.c_proj.bias`]) expect(deviation(name)).toBe(0);
    const expected: [string, number][] = [
      ["visual.proj", 64 ** -0.5], [`${layer}.attn.in_proj_weight`, 64 ** -0.5], [`${layer}.attn.out_proj.weight`, (64 * 4) ** -0.5],
      [`${layer}.mlp.c_fc.weight`, 128 ** -0.5], [`${layer}.mlp.c_proj.weight`, (64 * 4) ** -0.5], ["visual.conv1.weight", (3 * 3 * 64) ** -0.5],
    ];
    for (const [name, std] of expected) expect(Math.abs(deviation(name) / std - 1), name).toBeLessThan(0.1);
  });
});
