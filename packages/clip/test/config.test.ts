import { describe, expect, it } from "vitest";
import { InputError, sizeOf } from "@atlas-tv/core";
import { knownModel, knownModelNames, parseClipConfig, textSpec, visionSpec } from "../src/index.js";

const config = {
  embed_dim: 8,
  vision_cfg: { image_size: 8, layers: 1, width: 128, patch_size: 4 },
  text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 },
};

const resNet = {
  ...config,
  vision_cfg: { image_size: 64, layers: [1, 2, 1, 1] as [number, number, number, number], width: 4, patch_size: null },
};

describe("parseClipConfig", () => {
  it("fills in open_clip's defaults", () => {
    const parsed = parseClipConfig(config);
    expect(parsed.quick_gelu).toBe(false);
    expect(parsed.vision_cfg).toMatchObject({ head_width: 64, mlp_ratio: 4 });
    expect(visionSpec(config)).toMatchObject({ heads: 2, mlpWidth: 512, activation: "gelu" });
  });

  it("takes a list of layers for a ResNet, whose heads share 32 times its width", () => {
    const parsed = parseClipConfig(resNet);
    expect(parseClipConfig(parsed)).toEqual(parsed);
    expect(visionSpec(resNet)).toMatchObject({ family: "resnet", imageSize: 64, layers: [1, 2, 1, 1], width: 4, heads: 2, outputWidth: 8 });
    const [positions] = visionSpec(resNet).blocks.filter(({ kind }) => kind === "positional_embedding");
    expect(positions!.shape).toEqual([5, 128]);
  });

  it.each([
    ["embed_dim", { ...config, embed_dim: 0 }],
    ["vision_cfg.layers", { ...config, vision_cfg: { ...config.vision_cfg, layers: "many" } }],
    ["vision_cfg.layers", { ...resNet, vision_cfg: { ...resNet.vision_cfg, layers: [3, 4, 6] } }],
    ["vision_cfg.layers.1", { ...resNet, vision_cfg: { ...resNet.vision_cfg, layers: [3, 0, 6, 3] } }],
    ["vision_cfg.patch_size", { ...resNet, vision_cfg: { ...resNet.vision_cfg, patch_size: 16 } }],
    ["vision_cfg.image_size", { ...resNet, vision_cfg: { ...resNet.vision_cfg, image_size: 100 } }],
    ["vision_cfg.width", { ...resNet, vision_cfg: { ...resNet.vision_cfg, width: 3 } }],
    ["vision_cfg.head_width", { ...resNet, vision_cfg: { ...resNet.vision_cfg, head_width: 48 } }],
    ["patch_size", { ...config, vision_cfg: { ...config.vision_cfg, patch_size: 3 } }],
    ["head_width", { ...config, vision_cfg: { ...config.vision_cfg, head_width: 48 } }],
    ["heads", { ...config, text_cfg: { ...config.text_cfg, heads: 3 } }],
    ["pool_type", { ...config, vision_cfg: { ...config.vision_cfg, pool_type: "avg" } }],
    ["the document", "ViT-B-32"],
  ])("names the field at fault: %s", (field, json) => {
    expect(() => parseClipConfig(json, "model.json")).toThrow(InputError);
    expect(() => parseClipConfig(json, "model.json")).toThrow(new RegExp(`model.json[^]*${field}`));
  });
});

describe("knownModel", () => {
  // Parameters of the image and the text tower without logit_scale, in millions (Radford et al. 2021; open_clip's model profile).
  it.each([
    ["ViT-B-32", 87.85, 63.43], ["ViT-B-16", 86.19, 63.43], ["ViT-L-14", 303.97, 123.65], ["ViT-L-14-336", 304.29, 123.65],
    ["RN50", 38.32, 63.69], ["RN101", 56.26, 63.43],
  ])(
    "%s has the published number of parameters", (name, image, text) => {
      const count = (blocks: readonly { shape: readonly number[] }[]): number => blocks.reduce((sum, { shape }) => sum + sizeOf(shape), 0) / 1e6;
      expect(count(visionSpec(knownModel(name)).blocks)).toBeCloseTo(image, 1);
      expect(count(textSpec(knownModel(name)).blocks)).toBeCloseTo(text, 1);
      expect(textSpec(knownModel(name)).activation).toBe("quick_gelu");
    },
  );

  it("lists the names it knows", () => {
    expect(() => knownModel("ViT-Z")).toThrow(new RegExp(knownModelNames().join(", ")));
    expect(() => knownModel("toString")).toThrow(InputError);
  });
});
