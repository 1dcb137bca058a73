import { InputError, type Normalisation } from "@atlas-tv/core";
import { z } from "zod";
import { JsonLimitError, parseBoundedJson } from "./bounded-json.js";

/** Who writes a configuration of a model in this way. */
export type ModelConfigKind = "open_clip" | "huggingface";

/** A model's configuration as it was found; what it means is for the package that builds models to say. */
export interface ModelConfig {
  readonly kind: ModelConfigKind;
  /** The JSON document; of open_clip's that lie beside weights, the part `model_cfg`. */
  readonly document: Readonly<Record<string, unknown>>;
  /** The file it was read from, for messages. */
  readonly where: string;
  /** What pixels in [0, 1] are normalised with, where the document says so. */
  readonly normalisation: Normalisation | null;
}

const EXPECTED =
  "a model's configuration: open_clip's (embed_dim, vision_cfg and text_cfg, alone or as model_cfg), or Hugging Face's (model_type, vision_config, text_config)";

const openClip = z.looseObject({ embed_dim: z.unknown(), vision_cfg: z.looseObject({}) });
const openClipWithPixels = z.looseObject({ model_cfg: z.looseObject({}) });
const huggingFace = z.union([
  z.looseObject({ model_type: z.string() }),
  z.looseObject({ vision_config: z.looseObject({}) }),
  z.looseObject({ architectures: z.array(z.string()) }),
]);

/** What kind of configuration a JSON document is; null when it is none. */
export function modelConfigKind(document: unknown): ModelConfigKind | null {
  if (openClip.safeParse(document).success || openClipWithPixels.safeParse(document).success) return "open_clip";
  return huggingFace.safeParse(document).success ? "huggingface" : null;
}

const triple = z.tuple([z.number(), z.number(), z.number()]);
const openClipPixels = z.looseObject({ preprocess_cfg: z.looseObject({ mean: triple, std: triple }) });
const huggingFacePixels = z.looseObject({ image_mean: triple, image_std: triple });

/** Mean and deviation of pixels, from open_clip's configuration or Hugging Face's of its image processor. */
export function normalisationOf(document: unknown): Normalisation | null {
  const ours = openClipPixels.safeParse(document);
  if (ours.success) return { mean: ours.data.preprocess_cfg.mean, std: ours.data.preprocess_cfg.std };
  const theirs = huggingFacePixels.safeParse(document);
  return theirs.success ? { mean: theirs.data.image_mean, std: theirs.data.image_std } : null;
}

/**
 * The JSON value in a file's bytes.
 * @param expected for messages: what the file should hold.
 * @throws InputError when they are not JSON.
 */
export function parseJsonBytes(bytes: Uint8Array, where: string, expected: string): unknown {
  try {
    return parseBoundedJson(bytes).value;
  } catch (cause) {
    const got = cause instanceof SyntaxError ? `a file that is not JSON: ${cause.message}` : cause instanceof JsonLimitError ? cause.message : "a file that is not UTF-8";
    throw new InputError({ where, got, expected }, { cause });
  }
}

/** @throws InputError when the bytes are not a configuration. */
export function parseModelConfig(bytes: Uint8Array, where: string): ModelConfig {
  const document = parseJsonBytes(bytes, where, EXPECTED);
  const kind = modelConfigKind(document);
  if (kind === null) throw new InputError({ where, got: "a JSON document that describes no model", expected: EXPECTED });
  const wrapped = openClipWithPixels.safeParse(document);
  const own = wrapped.success ? wrapped.data.model_cfg : (document as Record<string, unknown>);
  return { kind, document: own, where, normalisation: normalisationOf(document) };
}
