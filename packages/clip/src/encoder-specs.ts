import type { BlockSpec, TextTransformerSpec, VitSpec } from "@atlas-tv/core";
import { parseClipConfig, type ClipConfigInput } from "./config.js";
import { bias, norm, residualBlockSpecs, weight } from "./transformer-blocks.js";

export interface VisionSpecOptions {
  /**
   * Adds the parameters of the text tower that a checkpoint of the reference implementation carries along, as blocks
   * of kind "leftover" at their place in its order. They get coefficient columns that stay 0. Default false.
   */
  readonly includeLeftovers?: boolean;
}

const PREFIX = "visual.";

/** The image encoder of a CLIP model: blocks in the order of open_clip's state dict, named without `model.`. */
export function visionSpec(config: ClipConfigInput, options: VisionSpecOptions = {}): VitSpec {
  const { embed_dim: outputWidth, quick_gelu: quickGelu, vision_cfg: vision, text_cfg: text } = parseClipConfig(config);
  const { width, layers, image_size: imageSize, patch_size: patchSize } = vision;
  const mlpWidth = Math.trunc(width * vision.mlp_ratio);
  const tokens = (imageSize / patchSize) ** 2 + 1;
  const visual: BlockSpec[] = [
    weight(`${PREFIX}class_embedding`, [width], "class_embedding"),
    weight(`${PREFIX}positional_embedding`, [tokens, width], "positional_embedding"),
    weight(`${PREFIX}proj`, [width, outputWidth], "projection"),
    weight(`${PREFIX}conv1.weight`, [width, 3, patchSize, patchSize], "patch_embedding"),
    ...norm(`${PREFIX}ln_pre`, width),
    ...residualBlockSpecs(PREFIX, layers, width, mlpWidth),
    ...norm(`${PREFIX}ln_post`, width),
  ];
  const blocks = options.includeLeftovers !== true ? visual : [
    weight("positional_embedding", [text.context_length, text.width], "leftover"),
    weight("text_projection", [text.width, outputWidth], "leftover"),
    weight("logit_scale", [], "leftover"),
    ...visual,
    weight("token_embedding.weight", [text.vocab_size, text.width], "leftover"),
    weight("ln_final.weight", [text.width], "leftover"),
    bias("ln_final.bias", [text.width], "leftover"),
  ];
  return {
    family: "vit",
    prefix: PREFIX,
    imageSize,
    patchSize,
    width,
    layers,
    heads: width / vision.head_width,
    mlpWidth,
    activation: quickGelu ? "quick_gelu" : "gelu",
    outputWidth,
    blocks,
  };
}

/** The text encoder of a CLIP model, with the names and the order of the full model's state dict. */
export function textSpec(config: ClipConfigInput): TextTransformerSpec {
  const { embed_dim: outputWidth, quick_gelu: quickGelu, text_cfg: text } = parseClipConfig(config);
  const { width, layers, heads, context_length: contextLength, vocab_size: vocabularySize } = text;
  const mlpWidth = Math.trunc(width * text.mlp_ratio);
  return {
    family: "text",
    prefix: "",
    contextLength,
    vocabularySize,
    width,
    layers,
    heads,
    mlpWidth,
    activation: quickGelu ? "quick_gelu" : "gelu",
    outputWidth,
    blocks: [
      weight("positional_embedding", [contextLength, width], "positional_embedding"),
      weight("text_projection", [width, outputWidth], "projection"),
      ...residualBlockSpecs("", layers, width, mlpWidth),
      weight("token_embedding.weight", [vocabularySize, width], "token_embedding"),
      ...norm("ln_final", width),
    ],
  };
}
