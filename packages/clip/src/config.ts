import { InputError } from "@atlas-tv/core";
import { z } from "zod";

const size = z.number().int().positive();

const visionSchema = z.strictObject({
  image_size: size,
  layers: size,
  width: size,
  head_width: size.default(64),
  patch_size: size,
  mlp_ratio: z.number().positive().default(4),
});

const textSchema = z.strictObject({
  context_length: size,
  vocab_size: size,
  width: size,
  heads: size,
  layers: size,
  mlp_ratio: z.number().positive().default(4),
});

const configSchema = z.strictObject({
  embed_dim: size,
  quick_gelu: z.boolean().default(false),
  vision_cfg: visionSchema,
  text_cfg: textSchema,
});

/** The architecture of a CLIP model, as open_clip's model configurations give it. */
export type ClipConfig = z.output<typeof configSchema>;

/** The same before defaults are filled in (`head_width` 64, `mlp_ratio` 4, `quick_gelu` false). */
export type ClipConfigInput = z.input<typeof configSchema>;

/** Rules across fields, each with the field at fault. */
function inconsistency({ vision_cfg: vision, text_cfg: text }: ClipConfig): string | null {
  if (vision.image_size % vision.patch_size !== 0) return "vision_cfg.image_size: not a multiple of patch_size";
  if (vision.width % vision.head_width !== 0) return "vision_cfg.width: not a multiple of head_width";
  if (text.width % text.heads !== 0) return "text_cfg.width: not a multiple of heads";
  return null;
}

/**
 * Checks an open_clip model configuration (the JSON document) and fills in its defaults.
 * @throws InputError naming the first field at fault. A field that is not understood is an error: the model would be another.
 */
export function parseClipConfig(json: unknown, where = "CLIP configuration"): ClipConfig {
  const parsed = configSchema.safeParse(json);
  const issue = parsed.success ? null : parsed.error.issues[0]!;
  const problem = parsed.success ? inconsistency(parsed.data) : `${issue!.path.join(".") || "the document"}: ${issue!.message}`;
  if (parsed.success && problem === null) return parsed.data;
  throw new InputError({
    where,
    got: problem!,
    expected: "an open_clip model configuration of a vision transformer: embed_dim, quick_gelu, vision_cfg, text_cfg",
    next: "known model names need no configuration",
  });
}
