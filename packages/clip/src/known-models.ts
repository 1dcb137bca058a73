import { InputError } from "@atlas-tv/core";
import {
  parseClipConfig,
  type ClipConfig, type ClipConfigInput, type ResNetClipConfig, type ResNetClipConfigInput,
  type VitClipConfig, type VitClipConfigInput,
} from "./config.js";

/** What all of them have: quick_gelu, and text encoders that differ in width only. */
function shared(embed: number, textWidth: number): Pick<ClipConfig, "embed_dim" | "quick_gelu" | "text_cfg"> {
  return {
    embed_dim: embed,
    quick_gelu: true,
    text_cfg: { context_length: 77, vocab_size: 49408, width: textWidth, heads: textWidth / 64, layers: 12, mlp_ratio: 4 },
  };
}

function openAiVit(
  embed: number,
  imageSize: number,
  patch: number,
  layers: number,
  width: number,
  textWidth: number,
): VitClipConfigInput {
  return { ...shared(embed, textWidth), vision_cfg: { image_size: imageSize, layers, width, patch_size: patch } };
}

function openAiResNet(embed: number, layers: [number, number, number, number]): ResNetClipConfigInput {
  return { ...shared(embed, 512), vision_cfg: { image_size: 224, layers, width: 64 } };
}

/** The vision transformers that OpenAI released (Radford et al. 2021, table 20), under open_clip's names. */
const VITS = {
  "ViT-B-32": openAiVit(512, 224, 32, 12, 768, 512),
  "ViT-B-16": openAiVit(512, 224, 16, 12, 768, 512),
  "ViT-L-14": openAiVit(768, 224, 14, 24, 1024, 768),
  "ViT-L-14-336": openAiVit(768, 336, 14, 24, 1024, 768),
};

/** The ResNets that it released without scaling them up (table 19). */
const RESNETS = {
  RN50: openAiResNet(1024, [3, 4, 6, 3]),
  RN101: openAiResNet(512, [3, 4, 23, 3]),
};

const KNOWN: Readonly<Record<string, ClipConfigInput>> = { ...VITS, ...RESNETS };

/** Names that `knownModel` understands. */
export function knownModelNames(): string[] {
  return Object.keys(KNOWN);
}

/**
 * The configuration of a model by its open_clip name, for OpenAI's weights (quick_gelu).
 * @throws InputError listing the names there are.
 */
export function knownModel(name: keyof typeof VITS): VitClipConfig;
export function knownModel(name: keyof typeof RESNETS): ResNetClipConfig;
export function knownModel(name: string): ClipConfig;
export function knownModel(name: string): ClipConfig {
  const config = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
  if (config !== undefined) return parseClipConfig(config, name);
  throw new InputError({
    where: "model name",
    got: `"${name}"`,
    expected: `one of ${knownModelNames().join(", ")}`,
    next: "give the configuration of another model as an open_clip JSON file",
  });
}
