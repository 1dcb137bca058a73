import { InputError, type Normalisation } from "@atlas-tv/core";
import { z } from "zod";
import { hasResNet, parseClipConfig, type ClipConfig } from "./config.js";

const size = z.number().int().positive();

/** CLIP's activations; transformers knows more, which would be another model. */
const activation = z.enum(["quick_gelu", "gelu"]).default("quick_gelu");

/** Every encoder here normalises with this constant. */
const LAYER_NORM_EPSILON = 1e-5;
const epsilon = z.literal(LAYER_NORM_EPSILON).default(LAYER_NORM_EPSILON);

/** What transformers took for the end of a text before it read it from the configuration: the largest id. */
const LARGEST_ID = 2;

/** Defaults are those of transformers' CLIPTextConfig: it does not write a field that has its default. */
const textSchema = z.object({
  vocab_size: size.default(49408),
  hidden_size: size.default(512),
  intermediate_size: size.default(2048),
  projection_dim: size.default(512),
  num_hidden_layers: size.default(12),
  num_attention_heads: size.default(8),
  max_position_embeddings: size.default(77),
  hidden_act: activation,
  layer_norm_eps: epsilon,
  eos_token_id: z.number().int().optional(),
});

/** Defaults are those of CLIPVisionConfig. */
const visionSchema = z.object({
  hidden_size: size.default(768),
  intermediate_size: size.default(3072),
  projection_dim: size.default(512),
  num_hidden_layers: size.default(12),
  num_attention_heads: size.default(12),
  num_channels: z.literal(3).default(3),
  image_size: size.default(224),
  patch_size: size.default(32),
  hidden_act: activation,
  layer_norm_eps: epsilon,
});

const bothSchema = z.object({
  model_type: z.literal("clip"),
  projection_dim: size.default(512),
  text_config: textSchema.prefault({}),
  vision_config: visionSchema.prefault({}),
});

const visionAloneSchema = visionSchema.extend({ model_type: z.literal("clip_vision_model") });

type Vision = z.output<typeof visionSchema>;
type Text = z.output<typeof textSchema>;

/** Whether a JSON document is a configuration of transformers' CLIP, or of its image encoder. */
export function isHuggingFaceConfig(json: unknown): boolean {
  return z.looseObject({ model_type: z.enum(["clip", "clip_vision_model"]) }).safeParse(json).success;
}

/** A ratio that gives back `inner` when it is multiplied by `width` and cut to a whole number. */
function mlpRatio(width: number, inner: number): number {
  const ratio = inner / width;
  return Math.trunc(width * ratio) === inner ? ratio : (inner + 0.5) / width;
}

function visionPart(vision: Vision, embed: number): unknown {
  const { hidden_size: width, num_attention_heads: heads } = vision;
  return {
    embed_dim: embed,
    quick_gelu: vision.hidden_act === "quick_gelu",
    vision_cfg: {
      image_size: vision.image_size,
      patch_size: vision.patch_size,
      width,
      layers: vision.num_hidden_layers,
      head_width: width / heads,
      mlp_ratio: mlpRatio(width, vision.intermediate_size),
    },
  };
}

function textPart(text: Text): unknown {
  return {
    context_length: text.max_position_embeddings,
    vocab_size: text.vocab_size,
    width: text.hidden_size,
    heads: text.num_attention_heads,
    layers: text.num_hidden_layers,
    mlp_ratio: mlpRatio(text.hidden_size, text.intermediate_size),
  };
}

/** Rules across the towers. */
function contradiction({ text_config: text, vision_config: vision }: z.output<typeof bothSchema>): string | null {
  if (text.hidden_act !== vision.hidden_act) return `hidden_act: ${text.hidden_act} in one encoder, ${vision.hidden_act} in the other`;
  const { eos_token_id: end = LARGEST_ID, vocab_size: ids } = text;
  return end === LARGEST_ID || end === ids - 1 ? null : `text_config.eos_token_id: ${end}, not the largest of ${ids} ids`;
}

/**
 * The architecture in a `config.json` of transformers: a CLIPConfig, or a CLIPVisionConfig, which gives an image encoder alone.
 * @throws InputError naming the first field at fault.
 */
export function clipConfigFromHuggingFace(json: unknown, where = "config.json"): ClipConfig {
  const alone = visionAloneSchema.safeParse(json);
  if (alone.success) return parseClipConfig(visionPart(alone.data, alone.data.projection_dim), where);
  const both = bothSchema.safeParse(json);
  const issue = both.success ? null : both.error.issues[0]!;
  const problem = both.success ? contradiction(both.data) : `${issue!.path.join(".") || "the document"}: ${issue!.message}`;
  if (both.success && problem === null) {
    const { projection_dim: embed, vision_config: vision, text_config: text } = both.data;
    return parseClipConfig({ ...(visionPart(vision, embed) as object), text_cfg: textPart(text) }, where);
  }
  throw new InputError({
    where,
    got: problem!,
    expected: "a configuration of transformers' CLIP: model_type clip or clip_vision_model",
    next: "other architectures need a checkpoint of CLIP's own",
  });
}

/**
 * The `config.json` that transformers reads as CLIPConfig; for an image encoder alone, as CLIPVisionConfig.
 * @throws InputError for a ResNet: transformers has no CLIP with one.
 */
export function huggingFaceConfig(config: ClipConfig): Record<string, unknown> {
  if (hasResNet(config)) {
    throw new InputError({
      where: "Hugging Face configuration",
      got: "a CLIP with a ResNet",
      expected: "a CLIP with a vision transformer: transformers has no other",
      next: "write safetensors in open_clip's names instead",
    });
  }
  const { embed_dim: embed, vision_cfg: vision, text_cfg: text } = config;
  const shared = {
    hidden_act: config.quick_gelu ? "quick_gelu" : "gelu",
    layer_norm_eps: LAYER_NORM_EPSILON,
    attention_dropout: 0,
    projection_dim: embed,
  };
  const visionConfig = {
    model_type: "clip_vision_model",
    hidden_size: vision.width,
    intermediate_size: Math.trunc(vision.width * vision.mlp_ratio),
    num_hidden_layers: vision.layers,
    num_attention_heads: vision.width / vision.head_width,
    num_channels: 3,
    image_size: vision.image_size,
    patch_size: vision.patch_size,
    ...shared,
  };
  if (text === undefined) return { architectures: ["CLIPVisionModelWithProjection"], ...visionConfig };
  return {
    architectures: ["CLIPModel"],
    model_type: "clip",
    projection_dim: embed,
    vision_config: visionConfig,
    text_config: {
      model_type: "clip_text_model",
      hidden_size: text.width,
      intermediate_size: Math.trunc(text.width * text.mlp_ratio),
      num_hidden_layers: text.layers,
      num_attention_heads: text.heads,
      max_position_embeddings: text.context_length,
      vocab_size: text.vocab_size,
      bos_token_id: text.vocab_size - 2,
      eos_token_id: text.vocab_size - 1,
      pad_token_id: 0,
      ...shared,
    },
  };
}

/** Pillow's number for bicubic resampling. */
const BICUBIC = 3;

/** The `preprocessor_config.json` of CLIP's validation transform, for transformers and transformers.js. */
export function huggingFacePreprocessor(imageSize: number, { mean, std }: Normalisation): Record<string, unknown> {
  return {
    image_processor_type: "CLIPImageProcessor",
    feature_extractor_type: "CLIPFeatureExtractor",
    do_resize: true,
    size: { shortest_edge: imageSize },
    resample: BICUBIC,
    do_center_crop: true,
    crop_size: { height: imageSize, width: imageSize },
    do_convert_rgb: true,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
  };
}

const triple = z.tuple([z.number(), z.number(), z.number()]);

/**
 * How images are normalised, from a `preprocessor_config.json`.
 * @throws InputError unless it holds image_mean and image_std.
 */
export function normalisationFromPreprocessor(json: unknown, where = "preprocessor_config.json"): Normalisation {
  const parsed = z.object({ image_mean: triple, image_std: triple }).safeParse(json);
  if (parsed.success) return { mean: parsed.data.image_mean, std: parsed.data.image_std };
  const issue = parsed.error.issues[0]!;
  throw new InputError({ where, got: `${issue.path.join(".") || "the document"}: ${issue.message}`, expected: "image_mean and image_std, three numbers each" });
}
