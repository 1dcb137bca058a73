import type { BlockSpec, ImageEncoderSpec, ModifiedResNetSpec, TextTransformerSpec, VitSpec } from "@atlas-tv/core";
import {
  hasResNet, parseClipConfig, textConfig,
  type ClipConfig, type ClipConfigInput, type ResNetClipConfig, type ResNetClipConfigInput,
  type VitClipConfig, type VitClipConfigInput,
} from "./config.js";
import { RESNET_EXPANSION, RESNET_STRIDE, resNetParts } from "./resnet-blocks.js";
import { bias, norm, residualBlockSpecs, weight } from "./transformer-blocks.js";

export interface VisionSpecOptions {
  /**
   * Adds the parameters of the text tower that a checkpoint of the reference implementation carries along, as blocks
   * of kind "leftover" at their place in its order. They get coefficient columns that stay 0. Default false.
   */
  readonly includeLeftovers?: boolean;
}

const PREFIX = "visual.";

/**
 * With the parameters of the text tower around those of the image tower, where a module of both holds them: its own
 * first, then those of its parts.
 */
function withLeftovers(visual: readonly BlockSpec[], config: ClipConfig): BlockSpec[] {
  const text = textConfig(config);
  return [
    weight("positional_embedding", [text.context_length, text.width], "leftover"),
    weight("text_projection", [text.width, config.embed_dim], "leftover"),
    weight("logit_scale", [], "leftover"),
    ...visual,
    weight("token_embedding.weight", [text.vocab_size, text.width], "leftover"),
    weight("ln_final.weight", [text.width], "leftover"),
    bias("ln_final.bias", [text.width], "leftover"),
  ];
}

function vitSpec({ embed_dim: outputWidth, quick_gelu: quickGelu, vision_cfg: vision }: VitClipConfig): VitSpec {
  const { width, layers, image_size: imageSize, patch_size: patchSize } = vision;
  const mlpWidth = Math.trunc(width * vision.mlp_ratio);
  const tokens = (imageSize / patchSize) ** 2 + 1;
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
    blocks: [
      weight(`${PREFIX}class_embedding`, [width], "class_embedding"),
      weight(`${PREFIX}positional_embedding`, [tokens, width], "positional_embedding"),
      weight(`${PREFIX}proj`, [width, outputWidth], "projection"),
      weight(`${PREFIX}conv1.weight`, [width, 3, patchSize, patchSize], "patch_embedding"),
      ...norm(`${PREFIX}ln_pre`, width),
      ...residualBlockSpecs(PREFIX, layers, width, mlpWidth),
      ...norm(`${PREFIX}ln_post`, width),
    ],
  };
}

function resNetSpec({ embed_dim: outputWidth, vision_cfg: vision }: ResNetClipConfig): ModifiedResNetSpec {
  const { width, layers, image_size: imageSize } = vision;
  const channels = RESNET_EXPANSION * width;
  const positions = (imageSize / RESNET_STRIDE) ** 2;
  return {
    family: "resnet",
    prefix: PREFIX,
    imageSize,
    layers,
    width,
    heads: channels / vision.head_width,
    outputWidth,
    ...resNetParts(PREFIX, { layers, width, positions, channels, outputWidth }),
  };
}

/**
 * The image encoder of a CLIP model: blocks in the order of open_clip's state dict, named without `model.`. A ResNet
 * where `vision_cfg.layers` lists the bottlenecks of its four stages, a vision transformer where it is a number.
 */
export function visionSpec(config: VitClipConfigInput, options?: VisionSpecOptions): VitSpec;
export function visionSpec(config: ResNetClipConfigInput, options?: VisionSpecOptions): ModifiedResNetSpec;
export function visionSpec(config: ClipConfigInput, options?: VisionSpecOptions): ImageEncoderSpec;
export function visionSpec(config: ClipConfigInput, options: VisionSpecOptions = {}): ImageEncoderSpec {
  const parsed = parseClipConfig(config);
  const spec = hasResNet(parsed) ? resNetSpec(parsed) : vitSpec(parsed);
  return options.includeLeftovers === true ? { ...spec, blocks: withLeftovers(spec.blocks, parsed) } : spec;
}

/**
 * The text encoder of a CLIP model, with the names and the order of the full model's state dict.
 * @throws InputError where the configuration is one of an image encoder alone.
 */
export function textSpec(config: ClipConfigInput): TextTransformerSpec {
  const parsed = parseClipConfig(config);
  const { embed_dim: outputWidth, quick_gelu: quickGelu } = parsed;
  const { width, layers, heads, context_length: contextLength, vocab_size: vocabularySize, mlp_ratio: ratio } = textConfig(parsed);
  const mlpWidth = Math.trunc(width * ratio);
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
