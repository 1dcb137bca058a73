import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  blockwise, difference, encode, InputError, isLoraBlock, lora, loraTaskVector, lossAndGradients, multipliedOut, Random, randomParameters,
  type Backend, type CompiledEncoder, type EncoderInputs, type NamedArrays, type TaskVector,
} from "../src/index.js";
import { closeTo } from "./fixture-files.js";

const RANK = 3;
const spec = visionSpec({
  embed_dim: 8,
  quick_gelu: true,
  vision_cfg: { image_size: 8, layers: 2, width: 16, head_width: 8, patch_size: 4 },
  text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 1, layers: 1 },
});
const base = randomParameters(spec, new Random("base"));
const make = () => lora({ rank: RANK, random: new Random("factors") });
const draws = new Random("images");
const images: EncoderInputs = { data: Float32Array.from({ length: 2 * 8 * 8 * 3 }, () => draws.normal()), shape: [2, 8, 8, 3] };

/** Factors of both sides, none of them zero. */
function factors(seed: string): NamedArrays {
  const random = new Random(seed);
  const start = make().initial(spec.blocks, 0, base);
  return Object.fromEntries(Object.entries(start).map(([name, values]) => [name, values.map(() => 0.2 * random.normal())]));
}

/** The same vector with all its elements. */
function full({ name, blocks }: TaskVector): TaskVector {
  return { name, blocks: new Map([...blocks].map(([block, tensor]) => [block, multipliedOut(tensor)])) };
}

async function featuresOf(encoder: CompiledEncoder, coefficients: NamedArrays): Promise<Float32Array> {
  const composed = await encoder.compose(coefficients);
  const features = await encode(composed, images);
  composed.dispose();
  const values = Float32Array.from(await features.data());
  features.dispose();
  return values;
}

async function lossOf(encoder: CompiledEncoder, coefficients: NamedArrays): Promise<{ loss: number; gradients: NamedArrays }> {
  const composed = await encoder.compose(coefficients);
  const { loss, encoders } = await lossAndGradients([{ ...images, encoder: composed }], ([own]) => tf.sum(tf.square(own!)) as tf.Scalar);
  composed.dispose();
  return { loss, gradients: encoders.values().next().value! };
}

const everyFactor = (names: readonly string[]): readonly (readonly string[])[] => names.map((name) => [name]);

/** All left factors in one direction, then all right ones: for devices on which every loss takes its time. */
export const bySide = (names: readonly string[]): readonly (readonly string[])[] =>
  ["left", "right"].map((side) => names.filter((name) => name.endsWith(side)));

/**
 * Low-rank fine-tuning and low-rank task vectors, on one backend.
 * @param directions which factors are moved together where gradients are held against differences; default each alone.
 */
export function loraSuite(backend: Backend, directions = everyFactor): void {
  describe(`low rank on ${backend.id}`, () => {
    it("starts at the base model and leaves no tensor behind", async () => {
      await backend.activate();
      const before = tf.memory().numTensors;
      const encoder = await backend.compile(spec, base, [], make());
      const plain = await backend.compile(spec, base, [], blockwise());
      closeTo(await featuresOf(encoder, encoder.initialCoefficients()), await featuresOf(plain, { coef: new Float32Array(0) }), 1e-6);
      encoder.dispose();
      plain.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });

    it.each(["standard", "linearised"] as const)("has the gradient that differences give, %s", async (mode) => {
      await backend.activate();
      const encoder = await backend.compile(spec, base, [], make(), { mode });
      const at = factors("point");
      const { gradients } = await lossOf(encoder, at);
      const step = 1e-2;
      for (const names of directions(Object.keys(at))) {
        const moves = Object.fromEntries(names.map((name) => {
          const direction = new Random(name);
          return [name, at[name]!.map(() => direction.normal())];
        }));
        const moved = (sign: number): NamedArrays => ({
          ...at, ...Object.fromEntries(names.map((name) => [name, at[name]!.map((value, i) => value + sign * step * moves[name]![i]!)])),
        });
        const slope = ((await lossOf(encoder, moved(1))).loss - (await lossOf(encoder, moved(-1))).loss) / (2 * step);
        const want = names.reduce((total, name) => gradients[name]!.reduce((sum, value, i) => sum + value * moves[name]![i]!, total), 0);
        expect(Math.abs(slope - want), names.join()).toBeLessThan(2e-2 * Math.max(1, Math.abs(want)));
      }
      encoder.dispose();
    });

    it("composes task vectors of low rank, beside full ones, as if they were multiplied out", async () => {
      await backend.activate();
      const low = loraTaskVector("low", spec.blocks, factors("low"), "F32");
      const other = difference("full", base, randomParameters(spec, new Random("other")));
      const coef = Float32Array.from({ length: 2 * spec.blocks.length }, (_, i) => Math.sin(i));
      const encoder = await backend.compile(spec, base, [low, other], blockwise());
      const same = await backend.compile(spec, base, [full(low), other], blockwise());
      closeTo(await featuresOf(encoder, { coef }), await featuresOf(same, { coef }), 1e-5, "features");
      const [got, want] = [await lossOf(encoder, { coef }), await lossOf(same, { coef })];
      closeTo(got.gradients["coef"]!, want.gradients["coef"]!, 1e-4, "gradient");
      encoder.dispose();
      same.dispose();
    });

    it("refuses factors that do not give the block's shape, and values that are not finite", async () => {
      await backend.activate();
      const [name, own] = [...loraTaskVector("low", spec.blocks, factors("low"), "F32").blocks][0]!;
      if (own.dtype !== "low-rank" || own.left.dtype !== "F32") throw new Error("not of low rank");
      const vector = (left: Float32Array, shape: readonly number[]): TaskVector => ({
        name: "damaged", blocks: new Map([[name, { ...own, left: { dtype: "F32", shape, data: left } }]]),
      });
      const wrong = vector(own.left.data.slice(RANK), [own.left.shape[0]! - 1, RANK]);
      await expect(backend.compile(spec, base, [wrong], blockwise())).rejects.toThrow(InputError);
      const broken = vector(own.left.data.map((value, i) => (i === 4 ? NaN : value)), own.left.shape);
      await expect(backend.compile(spec, base, [broken], blockwise())).rejects.toThrow("finite");
    });
  });
}

describe("a task vector of low rank", () => {
  it("keeps r · (rows + columns) numbers a block, and has the learned difference", () => {
    const learned = factors("learned");
    const { blocks } = loraTaskVector("low", spec.blocks, learned, "F32");
    const adapted = spec.blocks.filter(isLoraBlock);
    expect([...blocks.keys()]).toEqual(adapted.map(({ name }) => name));
    expect(adapted.length).toBe(4 * 2);
    for (const { name, shape } of adapted) {
      const own = blocks.get(name)!;
      if (own.dtype !== "low-rank") throw new Error(`${name} is not of low rank`);
      expect(own.left.data.length + own.right.data.length).toBe(RANK * (shape[0]! + shape[1]!));
      const values = multipliedOut(own).data;
      const [row, column] = [1, 2];
      let want = 0;
      for (let k = 0; k < RANK; k++) want += learned[`${name}.lora_left`]![row * RANK + k]! * learned[`${name}.lora_right`]![k * shape[1]! + column]!;
      expect(values[row * shape[1]! + column]).toBeCloseTo(want, 6);
    }
  });

  it("needs a rank of at least one", () => {
    expect(() => lora({ rank: 0, random: new Random(1) })).toThrow(InputError);
  });
});
