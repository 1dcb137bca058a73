import { z } from "zod";

/** Who writes a configuration of a model in this way. */
export type ModelConfigKind = "open_clip" | "huggingface";

/** A model's configuration as it was found; what it means is for the package that builds models to say. */
export interface ModelConfig {
  readonly kind: ModelConfigKind;
  /** The JSON document. */
  readonly document: Readonly<Record<string, unknown>>;
  /** The file it was read from, for messages. */
  readonly where: string;
  /** What pixels in [0, 1] are normalised with, where that is known. */
  readonly normalisation: { readonly mean: readonly [number, number, number]; readonly std: readonly [number, number, number] } | null;
}

const openClip = z.looseObject({ embed_dim: z.unknown(), vision_cfg: z.looseObject({}) });
const openClipFolder = z.looseObject({ model_cfg: z.looseObject({}) });
const huggingFace = z.looseObject({ model_type: z.string() });
const towers = z.union([z.looseObject({ vision_config: z.looseObject({}) }), z.looseObject({ architectures: z.array(z.string()) })]);

/** What kind of configuration a JSON document is; null when it is none. */
export function modelConfigKind(document: unknown): ModelConfigKind | null {
  if (openClip.safeParse(document).success || openClipFolder.safeParse(document).success) return "open_clip";
  return huggingFace.safeParse(document).success || towers.safeParse(document).success ? "huggingface" : null;
}

const triple = z.tuple([z.number(), z.number(), z.number()]);
const openClipPixels = z.looseObject({ preprocess_cfg: z.looseObject({ mean: triple, std: triple }) });
const huggingFacePixels = z.looseObject({ image_mean: triple, image_std: triple });

/** Mean and deviation of pixels, from open_clip's configuration or Hugging Face's of its image processor. */
export function normalisationOf(document: unknown): ModelConfig["normalisation"] {
  const ours = openClipPixels.safeParse(document);
  if (ours.success) return { mean: ours.data.preprocess_cfg.mean, std: ours.data.preprocess_cfg.std };
  const theirs = huggingFacePixels.safeParse(document);
  return theirs.success ? { mean: theirs.data.image_mean, std: theirs.data.image_std } : null;
}
