import { CLIP_NORMALISATION, InputError, type Normalisation } from "@atlas-tv/core";
import { z } from "zod";
import { parseClipConfig, type ClipConfig } from "./config.js";
import { clipConfigFromHuggingFace, isHuggingFaceConfig } from "./hugging-face-config.js";

/** What a configuration file says of a model. */
export interface ClipConfigFile {
  readonly config: ClipConfig;
  /** OpenAI's where the file does not say. */
  readonly normalisation: Normalisation;
}

const triple = z.tuple([z.number(), z.number(), z.number()]);

/** open_clip's file beside a checkpoint: the configuration, and how images are preprocessed. */
const withPreprocessing = z.object({
  model_cfg: z.unknown(),
  preprocess_cfg: z.object({ mean: triple.default([...CLIP_NORMALISATION.mean]), std: triple.default([...CLIP_NORMALISATION.std]) }).prefault({}),
});

/**
 * Reads any configuration of CLIP: open_clip's model configuration, its `open_clip_config.json`, or the `config.json` of transformers.
 * @throws InputError naming the first field at fault.
 */
export function readClipConfig(json: unknown, where = "CLIP configuration"): ClipConfigFile {
  if (isHuggingFaceConfig(json)) return { config: clipConfigFromHuggingFace(json, where), normalisation: CLIP_NORMALISATION };
  if (typeof json !== "object" || json === null || !("model_cfg" in json)) {
    return { config: parseClipConfig(json, where), normalisation: CLIP_NORMALISATION };
  }
  const parsed = withPreprocessing.safeParse(json);
  if (parsed.success) return { config: parseClipConfig(parsed.data.model_cfg, where), normalisation: parsed.data.preprocess_cfg };
  const issue = parsed.error.issues[0]!;
  throw new InputError({
    where,
    got: `${issue.path.join(".")}: ${issue.message}`,
    expected: "open_clip's configuration of a checkpoint: model_cfg, and preprocess_cfg with mean and std",
  });
}
