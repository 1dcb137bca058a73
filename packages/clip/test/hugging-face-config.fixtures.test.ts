import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CLIP_NORMALISATION, HALF_NORMALISATION, InputError } from "@atlas-tv/core";
import { fixtureJson } from "../../core/test/fixture-files.js";
import {
  clipConfigFromHuggingFace, ClipTokenizer, huggingFaceConfig, huggingFacePreprocessor, huggingFaceTokenizerFiles, knownModel,
  knownModelNames, normalisationFromPreprocessor, parseClipConfig, readClipConfig, textSpec, visionSpec, type ClipConfig,
} from "../src/index.js";

const VITS = knownModelNames().filter((name) => name.startsWith("ViT"));

/** A configuration of any proportions that a vision transformer may have. */
const anyConfig = fc.record({
  embed: fc.integer({ min: 1, max: 64 }),
  quickGelu: fc.boolean(),
  heads: fc.integer({ min: 1, max: 5 }),
  headWidth: fc.integer({ min: 1, max: 24 }),
  mlpWidth: fc.integer({ min: 1, max: 500 }),
  patch: fc.integer({ min: 1, max: 8 }),
  withText: fc.boolean(),
}).map(({ embed, quickGelu, heads, headWidth, mlpWidth, patch, withText }) => {
  const width = heads * headWidth;
  return parseClipConfig({
    embed_dim: embed,
    quick_gelu: quickGelu,
    vision_cfg: { image_size: 3 * patch, patch_size: patch, width, head_width: headWidth, layers: 1, mlp_ratio: (mlpWidth + 0.5) / width },
    ...(withText ? { text_cfg: { context_length: 7, vocab_size: 9, width: 12, heads: 2, layers: 1 } } : {}),
  });
});

/** What a configuration builds: two are the same model when this is the same. */
const built = (config: ClipConfig): unknown => ({ vision: visionSpec(config), text: config.text_cfg === undefined ? null : textSpec(config) });

describe("clipConfigFromHuggingFace", () => {
  it.each(VITS)("gives %s back from the configuration written for it", (name) => {
    expect(clipConfigFromHuggingFace(huggingFaceConfig(knownModel(name)))).toEqual(knownModel(name));
  });

  it("gives back any proportions", () => {
    fc.assert(fc.property(anyConfig, (config) => {
      expect(built(clipConfigFromHuggingFace(huggingFaceConfig(config)))).toEqual(built(config));
    }));
  });

  it("fills in what transformers leaves out because it is the default: ViT-B-32", () => {
    expect(clipConfigFromHuggingFace({ model_type: "clip", text_config: {}, vision_config: {} })).toEqual(knownModel("ViT-B-32"));
  });

  it("takes an image encoder alone, which has no text encoder", () => {
    const config = clipConfigFromHuggingFace({ model_type: "clip_vision_model", patch_size: 16 });
    expect(visionSpec(config)).toEqual(visionSpec(knownModel("ViT-B-16")));
    expect(() => textSpec(config)).toThrow(InputError);
  });

  const json = huggingFaceConfig(knownModel("ViT-B-32")) as { vision_config: object; text_config: object };
  it.each([
    ["model_type", { ...json, model_type: "siglip" }],
    ["vision_config.hidden_act", { ...json, vision_config: { ...json.vision_config, hidden_act: "relu" } }],
    ["hidden_act: quick_gelu", { ...json, vision_config: { ...json.vision_config, hidden_act: "gelu" } }],
    ["layer_norm_eps", { ...json, vision_config: { ...json.vision_config, layer_norm_eps: 1e-6 } }],
    ["num_channels", { ...json, vision_config: { ...json.vision_config, num_channels: 1 } }],
    ["head_width", { ...json, vision_config: { ...json.vision_config, num_attention_heads: 7 } }],
    ["eos_token_id", { ...json, text_config: { ...json.text_config, eos_token_id: 5 } }],
  ])("names the field at fault: %s", (field, document) => {
    expect(() => clipConfigFromHuggingFace(document, "hf.json")).toThrow(new RegExp(`hf.json[^]*${field}`));
  });

  it("is not written for a ResNet", () => {
    expect(() => huggingFaceConfig(knownModel("RN50"))).toThrow(/ResNet/);
  });
});

describe("readClipConfig", () => {
  const config = fixtureJson("checkpoints/open_clip_config.json");
  const parsed = parseClipConfig(config);

  it("reads the same model from open_clip's and from Hugging Face's file", () => {
    expect(readClipConfig(config).config).toEqual(parsed);
    expect(readClipConfig(fixtureJson("checkpoints/hf/config.json")).config).toEqual(parsed);
  });

  it("reads the normalisation beside open_clip's configuration", () => {
    expect(readClipConfig({ model_cfg: config, preprocess_cfg: HALF_NORMALISATION })).toEqual({ config: parsed, normalisation: HALF_NORMALISATION });
    expect(readClipConfig({ model_cfg: config, preprocess_cfg: { interpolation: "bicubic" } }).normalisation).toEqual(CLIP_NORMALISATION);
    expect(() => readClipConfig({ model_cfg: config, preprocess_cfg: { mean: 0.5 } }, "own.json")).toThrow(/own.json[^]*preprocess_cfg.mean/);
  });
});

describe("what is written beside a Hugging Face checkpoint", () => {
  it("gives the normalisation back", () => {
    expect(normalisationFromPreprocessor(huggingFacePreprocessor(32, HALF_NORMALISATION))).toEqual(HALF_NORMALISATION);
    expect(() => normalisationFromPreprocessor({ image_mean: [0, 0] }, "p.json")).toThrow(/p.json[^]*image_mean/);
  });

  it("gives the tokenizer back", async () => {
    const tokenizer = await ClipTokenizer.openAi();
    const files = huggingFaceTokenizerFiles(tokenizer);
    const back = ClipTokenizer.fromTokenizerJson(JSON.parse(files.get("tokenizer.json")!));
    expect(back.vocabulary).toEqual(tokenizer.vocabulary);
    expect(JSON.parse(files.get("vocab.json")!)).toEqual(Object.fromEntries(tokenizer.vocabulary.ids));
    expect(files.get("merges.txt")!.split("\n").slice(1, -1)).toEqual(tokenizer.vocabulary.merges);
  });
});
