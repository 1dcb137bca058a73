import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  buffersOf, difference, PlainBackend, Random, randomParameters, registerGradients, sizeOf, widen, type ImageEncoderSpec,
} from "../src/index.js";
import { convolution, stridedConvolution } from "../src/convolution.js";
import { attentionPool } from "../src/modified-resnet.js";
import { closeTo } from "./fixture-files.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

function normal(seed: string, shape: readonly number[]): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: sizeOf(shape) }, () => random.normal());
}

async function values(make: () => tf.Tensor): Promise<Float32Array> {
  const tensor = tf.tidy(make);
  const data = Float32Array.from(await tensor.data());
  tensor.dispose();
  return data;
}

function innerProduct(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

const [BATCH, HEIGHT, WIDTH, INPUT, OUTPUT] = [2, 4, 6, 3, 5];
const IMAGES: [number, number, number, number] = [BATCH, HEIGHT, WIDTH, INPUT];
const KERNEL: [number, number, number, number] = [3, 3, INPUT, OUTPUT];

/** The definition: out[y, x] = Σ in[stride·y + i − 1, stride·x + j − 1] · kernel[i, j], zero outside. */
function convolved(images: Float32Array, kernel: Float32Array, stride: number): Float64Array {
  const [height, width] = [HEIGHT / stride, WIDTH / stride];
  const out = new Float64Array(BATCH * height * width * OUTPUT);
  for (let at = 0; at < out.length; at++) {
    const o = at % OUTPUT;
    const x = Math.floor(at / OUTPUT) % width;
    const y = Math.floor(at / OUTPUT / width) % height;
    const b = Math.floor(at / OUTPUT / width / height);
    for (let tap = 0; tap < 9; tap++) {
      const row = stride * y + Math.floor(tap / 3) - 1;
      const column = stride * x + (tap % 3) - 1;
      if (row < 0 || row >= HEIGHT || column < 0 || column >= WIDTH) continue;
      for (let c = 0; c < INPUT; c++) {
        out[at]! += images[((b * HEIGHT + row) * WIDTH + column) * INPUT + c]! * kernel[(tap * INPUT + c) * OUTPUT + o]!;
      }
    }
  }
  return out;
}

describe.each(PLAIN_BACKENDS)("the ResNet's parts on %s", (name) => {
  beforeAll(async () => {
    await new PlainBackend(name).activate();
    registerGradients();
  });

  const [x, k] = [normal("x", IMAGES), normal("k", KERNEL)];

  it("a convolution is the sum over its nine taps, with zeros outside", async () => {
    closeTo(await values(() => convolution(tf.tensor4d(x, IMAGES), tf.tensor4d(k, KERNEL))), convolved(x, k, 1), 1e-6);
    closeTo(await values(() => stridedConvolution(tf.tensor4d(x, IMAGES), tf.tensor4d(k, KERNEL))), convolved(x, k, 2), 1e-6);
  });

  it("its gradients are the adjoints of its two linear maps", async () => {
    const before = tf.memory().numTensors;
    const dy = normal("dy", [BATCH, HEIGHT, WIDTH, OUTPUT]);
    const dySmall = normal("dy", [BATCH, HEIGHT / 2, WIDTH / 2, OUTPUT]);
    const [otherX, otherK] = [normal("other x", IMAGES), normal("other k", KERNEL)];
    const images = tf.tensor4d(x, IMAGES);
    const kernel = tf.tensor4d(k, KERNEL);
    const full = tf.tensor4d(dy, [BATCH, HEIGHT, WIDTH, OUTPUT]);
    const small = tf.tensor4d(dySmall, [BATCH, HEIGHT / 2, WIDTH / 2, OUTPUT]);
    const toImages = await values(() => tf.grad((own) => convolution(own as tf.Tensor4D, kernel))(images, full));
    const toKernel = await values(() => tf.grad((own) => convolution(images, own as tf.Tensor4D))(kernel, full));
    const strided = await values(() => tf.grad((own) => stridedConvolution(images, own as tf.Tensor4D))(kernel, small));
    closeTo(innerProduct(toImages, otherX), innerProduct(dy, convolved(otherX, k, 1)), 1e-5, "images");
    closeTo(innerProduct(toKernel, otherK), innerProduct(dy, convolved(x, otherK, 1)), 1e-5, "kernel");
    closeTo(innerProduct(strided, otherK), innerProduct(dySmall, convolved(x, otherK, 2)), 1e-5, "strided kernel");
    tf.dispose([images, kernel, full, small]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("its kernel gradient can be differentiated again", async () => {
    // ⟨dL/dk, k'⟩ is ⟨dy, conv(x, k')⟩, whose derivative in dy is conv(x, k').
    const otherK = normal("other k", KERNEL);
    const shape: [number, number, number, number] = [BATCH, HEIGHT, WIDTH, OUTPUT];
    const again = await values(() => {
      const images = tf.tensor4d(x, IMAGES);
      const inner = (dy: tf.Tensor): tf.Scalar => {
        const gradient = tf.grad((own) => convolution(images, own as tf.Tensor4D))(tf.tensor4d(k, KERNEL), dy);
        return tf.sum(tf.mul(gradient, tf.tensor4d(otherK, KERNEL))) as tf.Scalar;
      };
      return tf.grad(inner)(tf.tensor(normal("dy", shape), shape));
    });
    closeTo(again, convolved(x, otherK, 1), 1e-5);
  });

  it("attention pooling lets the mean ask all positions, head by head", async () => {
    const spec = { prefix: "", heads: 2 } as Extract<ImageEncoderSpec, { family: "resnet" }>;
    const [channels, positions, outputs] = [6, 4, 5];
    const headWidth = channels / spec.heads;
    const shapes: Record<string, number[]> = {
      "attnpool.positional_embedding": [positions + 1, channels],
      ...Object.fromEntries(["q", "k", "v"].flatMap((part) => [
        [`attnpool.${part}_proj.weight`, [channels, channels]], [`attnpool.${part}_proj.bias`, [channels]],
      ])),
      "attnpool.c_proj.weight": [outputs, channels],
      "attnpool.c_proj.bias": [outputs],
    };
    const parameters = new Map(Object.entries(shapes).map(([key, shape]) => [key, normal(key, shape)]));
    const pixels = normal("pixels", [BATCH, positions, channels]);

    const project = (part: string, row: readonly number[]): number[] => {
      const weight = parameters.get(`attnpool.${part}_proj.weight`)!;
      const biases = parameters.get(`attnpool.${part}_proj.bias`)!;
      return [...biases].map((bias, o) => bias + row.reduce((sum, value, c) => sum + value * weight[o * channels + c]!, 0));
    };
    const places = parameters.get("attnpool.positional_embedding")!;
    const wanted = Array.from({ length: BATCH }, (_, b) => {
      const rows = Array.from({ length: positions }, (_row, p) => {
        const from = (b * positions + p) * channels;
        return [...pixels.subarray(from, from + channels)];
      });
      const mean = rows[0]!.map((_value, c) => rows.reduce((sum, row) => sum + row[c]! / positions, 0));
      const placed = [mean, ...rows].map((row, t) => row.map((value, c) => value + places[t * channels + c]!));
      const query = project("q", placed[0]!);
      const [keys, contents] = ["k", "v"].map((part) => placed.map((row) => project(part, row))) as [number[][], number[][]];
      const mixed = Array.from({ length: channels }, (_value, c) => {
        const own = (d: number): boolean => Math.floor(d / headWidth) === Math.floor(c / headWidth);
        const products = keys.map((key) => key.reduce((sum, value, d) => sum + (own(d) ? value * query[d]! : 0), 0));
        const scores = products.map((product) => Math.exp(product / Math.sqrt(headWidth)));
        const total = scores.reduce((sum, score) => sum + score, 0);
        return scores.reduce((sum, score, t) => sum + (score / total) * contents[t]![c]!, 0);
      });
      return project("c", mixed);
    });
    const pooled = await values(() => attentionPool(
      tf.tensor4d(pixels, [BATCH, 2, 2, channels]), spec, (key) => tf.tensor(parameters.get(key)!, shapes[key]),
    ));
    closeTo(pooled, wanted.flat(), 2e-6);
  });
});

const text = { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 };
const spec = visionSpec({ embed_dim: 8, vision_cfg: { image_size: 32, layers: [1, 2, 1, 1], width: 8, head_width: 32 }, text_cfg: text });

describe("randomParameters of a ResNet", () => {
  const parameters = randomParameters(spec, new Random(5));
  const deviation = (name: string): number => {
    const data = widen(parameters.get(name)!);
    return Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length);
  };

  it("has every block and, after them, every running statistic of a BatchNorm that does nothing", () => {
    expect([...parameters.keys()]).toEqual([...spec.blocks, ...buffersOf(spec)].map(({ name }) => name));
    for (const { name } of buffersOf(spec)) {
      expect(new Set(parameters.get(name)!.data), name).toEqual(new Set([name.endsWith("running_var") ? 1 : 0]));
    }
  });

  it("keeps the scale through convolutions, and starts each bottleneck as its shortcut", () => {
    const expected: [string, number][] = [
      ["visual.layer4.0.conv2.weight", (2 / (9 * 64)) ** 0.5], ["visual.layer3.0.conv3.weight", (2 / 32) ** 0.5],
      ["visual.attnpool.k_proj.weight", 256 ** -0.5], ["visual.attnpool.c_proj.weight", 256 ** -0.5],
    ];
    for (const [name, std] of expected) expect(Math.abs(deviation(name) / std - 1), name).toBeLessThan(0.1);
    expect(new Set(parameters.get("visual.bn3.weight")!.data)).toEqual(new Set([1]));
    expect(new Set(parameters.get("visual.layer2.1.bn2.weight")!.data)).toEqual(new Set([1]));
    const zeros = ["visual.layer2.1.bn3.weight", "visual.layer2.1.bn1.bias", "visual.attnpool.c_proj.bias"];
    for (const name of zeros) expect(deviation(name), name).toBe(0);
  });
});

describe("a task vector of a ResNet", () => {
  it("holds parameters alone, by name, whatever the statistics of the two files", () => {
    const base = randomParameters(spec, new Random(1));
    const other = new Map([...randomParameters(spec, new Random(2))].reverse());
    const statistics = buffersOf(spec)[0]!;
    other.set(statistics.name, { dtype: "F32", shape: statistics.shape, data: new Float32Array(sizeOf(statistics.shape)).fill(7) });
    const vector = difference("other", base, other, "F32");
    expect([...vector.blocks.keys()]).toEqual(spec.blocks.map(({ name }) => name));
    const name = "visual.layer2.1.conv3.weight";
    const from = widen(base.get(name)!);
    expect(vector.blocks.get(name)!.data).toEqual(widen(other.get(name)!).map((value, i) => value - from[i]!));
    for (const buffer of buffersOf(spec)) other.delete(buffer.name);
    expect([...difference("without statistics", base, other).blocks.keys()]).toEqual([...vector.blocks.keys()]);
  });
});
