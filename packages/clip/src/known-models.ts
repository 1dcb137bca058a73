import { InputError } from "@atlas-tv/core";
import { parseClipConfig, type ClipConfig, type ClipConfigInput } from "./config.js";

function openAi(
  embed: number,
  imageSize: number,
  patch: number,
  layers: number,
  width: number,
  textWidth: number,
): ClipConfigInput {
  return {
    embed_dim: embed,
    quick_gelu: true,
    vision_cfg: { image_size: imageSize, layers, width, patch_size: patch },
    text_cfg: { context_length: 77, vocab_size: 49408, width: textWidth, heads: textWidth / 64, layers: 12 },
  };
}

/** The vision transformers that OpenAI released (Radford et al. 2021, table 20), under open_clip's names. */
const KNOWN: Readonly<Record<string, ClipConfigInput>> = {
  "ViT-B-32": openAi(512, 224, 32, 12, 768, 512),
  "ViT-B-16": openAi(512, 224, 16, 12, 768, 512),
  "ViT-L-14": openAi(768, 224, 14, 24, 1024, 768),
  "ViT-L-14-336": openAi(768, 336, 14, 24, 1024, 768),
};

/** Names that `knownModel` understands. */
export function knownModelNames(): string[] {
  return Object.keys(KNOWN);
}

/**
 * The configuration of a model by its open_clip name, for OpenAI's weights (quick_gelu).
 * @throws InputError listing the names there are.
 */
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
