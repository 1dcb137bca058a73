import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { compileDefault, InputError, isotropic, PlainBackend, Random, randomParameters, type CompiledEncoder } from "@atlas-tv/core";
import "../../core/test/plain-backends.js";
import { textSpec, WordTokenizer, zeroShotHead } from "../src/index.js";

const tokenizer = WordTokenizer.fromTexts(["a photo of the digit one two"], 8);
const spec = textSpec({
  embed_dim: 6,
  vision_cfg: { image_size: 8, layers: 1, width: 8, head_width: 4, patch_size: 4 },
  text_cfg: { context_length: 8, vocab_size: tokenizer.vocabularySize, width: 8, heads: 2, layers: 1 },
});
let encoder: CompiledEncoder;

const options = (): Parameters<typeof zeroShotHead>[0] => ({
  encoder,
  tokenize: (texts) => tokenizer.encode(texts),
  classNames: ["one", "$& two"],
  templates: ["a photo of {}", "the digit {}"],
  logitScale: Math.log(20),
  name: "digits",
});

beforeAll(async () => {
  await new PlainBackend("cpu").activate();
  encoder = await compileDefault(spec, randomParameters(spec, new Random(1)), [], isotropic());
});

describe("zeroShotHead", () => {
  it("has rows of length exp(logit_scale), the same in any batch size, and leaks nothing", async () => {
    const before = tf.memory().numTensors;
    const head = await zeroShotHead(options());
    const one = await zeroShotHead({ ...options(), batchSize: 1 });
    expect(tf.memory().numTensors).toBe(before);
    for (let row = 0; row < 2; row++) expect(Math.hypot(...head.weight.subarray(row * 6, row * 6 + 6))).toBeCloseTo(20, 4);
    one.weight.forEach((value, i) => { expect(value).toBeCloseTo(head.weight[i]!, 4); });
    expect(head.weight.subarray(0, 6)).not.toEqual(head.weight.subarray(6));
  });

  it("puts the class name into the template as it is", async () => {
    const seen: string[] = [];
    await zeroShotHead({ ...options(), tokenize: (texts) => { seen.push(...texts); return tokenizer.encode(texts); } });
    expect(seen).toEqual(["a photo of one", "the digit one", "a photo of $& two", "the digit $& two"]);
  });

  it("works with one class and leaves a composed encoder to its owner", async () => {
    const composed = await encoder.compose(encoder.initialCoefficients());
    const head = await zeroShotHead({ ...options(), encoder: composed, classNames: ["one"] });
    expect(head.weight.length).toBe(6);
    expect(await zeroShotHead({ ...options(), encoder: composed, classNames: ["one"] })).toEqual(head);
    composed.dispose();
  });

  it.each([{ classNames: [] }, { templates: [] }, { templates: ["no slot"] }, { batchSize: 0 }])("refuses %j", async (wrong) => {
    await expect(zeroShotHead({ ...options(), ...wrong })).rejects.toThrow(InputError);
  });

  it("refuses a tokenizer that drops texts", async () => {
    const before = tf.memory().numTensors;
    const dropping = zeroShotHead({ ...options(), tokenize: (texts) => tokenizer.encode(texts.slice(1)) });
    await expect(dropping).rejects.toThrow("3 rows of token ids");
    expect(tf.memory().numTensors).toBe(before);
  });
});
