import assert from "node:assert/strict";
import "@tensorflow/tfjs-backend-cpu";
import { isotropic, PlainBackend, Random, randomParameters } from "@atlas-tv/core";
import { ClipTokenizer, huggingFaceConfig, knownModel, readClipConfig, textSpec, visionSpec, WordTokenizer, zeroShotHead } from "@atlas-tv/clip";

assert.equal(visionSpec(knownModel("ViT-B-32")).imageSize, 224);
assert.deepEqual(readClipConfig(huggingFaceConfig(knownModel("ViT-L-14"))).config, knownModel("ViT-L-14"));
assert.deepEqual((await ClipTokenizer.openAi()).ids("a photo of a cat."), [320, 1125, 539, 320, 2368, 269]);
const tokenizer = WordTokenizer.fromTexts(["the digit one two"], 6);
const spec = textSpec({
  embed_dim: 8,
  vision_cfg: { image_size: 8, layers: 1, width: 8, head_width: 4, patch_size: 4 },
  text_cfg: { context_length: 6, vocab_size: tokenizer.vocabularySize, width: 8, heads: 2, layers: 1 },
});
const backend = new PlainBackend("cpu");
await backend.activate();
const encoder = await backend.compile(spec, randomParameters(spec, new Random(1)), [], isotropic());
const tokenize = (texts: readonly string[]): ReturnType<typeof tokenizer.encode> => tokenizer.encode(texts);
const head = await zeroShotHead({ encoder, tokenize, classNames: ["one", "two"], templates: ["the digit {}"], logitScale: 1, name: "digits" });
assert.equal(head.weight.length, 2 * 8);
