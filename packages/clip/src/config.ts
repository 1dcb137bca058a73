import { InputError } from "@atlas-tv/core";
import { z } from "zod";
import { RESNET_EXPANSION, RESNET_STRIDE } from "./resnet-blocks.js";

const size = z.number().int().positive();

const visionSchema = z.strictObject({
  image_size: size,
  layers: size,
  width: size,
  head_width: size.default(64),
  patch_size: size,
  mlp_ratio: z.number().positive().default(4),
});

/** open_clip takes a list of four layer counts for a ResNet. */
const resNetSchema = z.strictObject({
  image_size: size,
  layers: z.tuple([size, size, size, size]),
  width: size,
  head_width: size.default(64),
  patch_size: z.null().optional(),
});

const textSchema = z.strictObject({
  context_length: size,
  vocab_size: size,
  width: size,
  heads: size,
  layers: size,
  mlp_ratio: z.number().positive().default(4),
});

const shared = {
  embed_dim: size,
  quick_gelu: z.boolean().default(false),
  text_cfg: textSchema.optional(),
};

const vitConfigSchema = z.strictObject({ ...shared, vision_cfg: visionSchema });

const resNetConfigSchema = z.strictObject({ ...shared, vision_cfg: resNetSchema });

/** The text encoder of a CLIP. */
export type TextConfig = z.output<typeof textSchema>;

/** A CLIP whose image encoder is a vision transformer. */
export type VitClipConfig = z.output<typeof vitConfigSchema>;

/** A CLIP whose image encoder is a ResNet: `vision_cfg.layers` lists its stages. */
export type ResNetClipConfig = z.output<typeof resNetConfigSchema>;

/** The architecture of a CLIP model, as open_clip's model configurations give it; without `text_cfg` an image encoder alone. */
export type ClipConfig = VitClipConfig | ResNetClipConfig;

/** `VitClipConfig` before defaults are filled in. */
export type VitClipConfigInput = z.input<typeof vitConfigSchema>;

/** `ResNetClipConfig` before defaults are filled in. */
export type ResNetClipConfigInput = z.input<typeof resNetConfigSchema>;

/** A configuration before defaults are filled in (`head_width` 64, `mlp_ratio` 4, `quick_gelu` false). */
export type ClipConfigInput = VitClipConfigInput | ResNetClipConfigInput;

/** Whether the image encoder is a ResNet; otherwise it is a vision transformer. */
export function hasResNet(config: ClipConfig): config is ResNetClipConfig {
  return Array.isArray(config.vision_cfg.layers);
}

/**
 * The text encoder of a configuration.
 * @throws InputError where it has none.
 */
export function textConfig({ text_cfg: text }: ClipConfig, where = "CLIP configuration"): TextConfig {
  if (text !== undefined) return text;
  throw new InputError({ where, got: "no text_cfg: an image encoder alone", expected: "a configuration of both encoders" });
}

/** Whether a document that is still to be checked describes a ResNet. */
function namesResNet(json: unknown): boolean {
  const vision = z.looseObject({ vision_cfg: z.looseObject({ layers: z.array(z.unknown()) }) });
  return vision.safeParse(json).success;
}

function visionInconsistency(config: ClipConfig): string | null {
  if (hasResNet(config)) {
    const { image_size: imageSize, width, head_width: headWidth } = config.vision_cfg;
    if (imageSize % RESNET_STRIDE !== 0) return `vision_cfg.image_size: not a multiple of ${RESNET_STRIDE}`;
    if (width % 2 !== 0) return "vision_cfg.width: not even";
    const channels = RESNET_EXPANSION * width;
    return channels % headWidth === 0 ? null : `vision_cfg.head_width: does not divide ${RESNET_EXPANSION} · width = ${channels}`;
  }
  const { image_size: imageSize, patch_size: patchSize, width, head_width: headWidth } = config.vision_cfg;
  if (imageSize % patchSize !== 0) return "vision_cfg.image_size: not a multiple of patch_size";
  return width % headWidth === 0 ? null : "vision_cfg.width: not a multiple of head_width";
}

/** Rules across fields, each with the field at fault. */
function inconsistency(config: ClipConfig): string | null {
  const { text_cfg: text } = config;
  const vision = visionInconsistency(config);
  if (vision !== null) return vision;
  if (text !== undefined && text.width % text.heads !== 0) return "text_cfg.width: not a multiple of heads";
  return null;
}

/**
 * Checks an open_clip model configuration (the JSON document) and fills in its defaults.
 * @throws InputError naming the first field at fault. A field that is not understood is an error: the model would be another.
 */
export function parseClipConfig(json: unknown, where = "CLIP configuration"): ClipConfig {
  const schema: z.ZodType<ClipConfig> = namesResNet(json) ? resNetConfigSchema : vitConfigSchema;
  const parsed = schema.safeParse(json);
  const issue = parsed.success ? null : parsed.error.issues[0]!;
  const problem = parsed.success ? inconsistency(parsed.data) : `${issue!.path.join(".") || "the document"}: ${issue!.message}`;
  if (parsed.success && problem === null) return parsed.data;
  throw new InputError({
    where,
    got: problem!,
    expected: "an open_clip model configuration of a vision transformer or a ResNet: embed_dim, quick_gelu, vision_cfg, and text_cfg where it has a text encoder",
    next: "known model names need no configuration",
  });
}
