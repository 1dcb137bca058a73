import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { InputError } from "@atlas-tv/core";
import { parseBoundedJson } from "./bounded-json.js";
import { openFile } from "./file-source.js";
import { modelConfigKind, normalisationOf, type ModelConfig } from "./model-config.js";

/** Names under which folders of Hugging Face and open_clip hold weights, the best one first. */
const WEIGHTS = [
  "model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors", "open_clip_model.safetensors.index.json",
  "pytorch_model.bin", "pytorch_model.bin.index.json", "open_clip_pytorch_model.bin", "open_clip_pytorch_model.bin.index.json",
] as const;

/** open_clip's own configuration says more about the model than the one that lies beside it for other tools. */
const CONFIGS = ["open_clip_config.json", "config.json"] as const;

const PROCESSOR = "preprocessor_config.json";

/** Of JSON files beside a model. */
const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

async function readJson(path: string): Promise<unknown> {
  const source = await openFile(path);
  const bad = (got: string, cause?: unknown): InputError => new InputError({ where: path, got, expected: "a JSON document" }, { cause });
  try {
    if (source.size > MAX_CONFIG_BYTES) throw bad(`a file of ${source.size} bytes`);
    return parseBoundedJson(await source.read(0, source.size)).value;
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw bad(error instanceof Error ? error.message : String(error), error);
  } finally {
    await source.close();
  }
}

/**
 * Reads the configuration of a model: open_clip's JSON, bare or as `model_cfg` with `preprocess_cfg`, or Hugging Face's.
 * @throws InputError when it is none.
 */
export async function readModelConfig(path: string): Promise<ModelConfig> {
  const document = await readJson(path);
  const kind = modelConfigKind(document);
  if (kind !== null) return { kind, document: document as Record<string, unknown>, where: path, normalisation: normalisationOf(document) };
  throw new InputError({
    where: path,
    got: "a JSON document that describes no model",
    expected: "open_clip's configuration (embed_dim, vision_cfg, text_cfg, or these as model_cfg) or Hugging Face's (model_type, vision_config, text_config)",
  });
}

/**
 * The configuration that lies in a folder; null when there is none.
 * @throws InputError when there is one that cannot be read.
 */
export async function findModelConfig(folder: string): Promise<ModelConfig | null> {
  const found = CONFIGS.find((name) => existsSync(join(folder, name)));
  if (found === undefined) return null;
  const config = await readModelConfig(join(folder, found));
  const processor = join(folder, PROCESSOR);
  if (config.normalisation !== null || !existsSync(processor)) return config;
  return { ...config, normalisation: normalisationOf(await readJson(processor)) };
}

/** The file of a folder that holds its weights, or their index; null when there is none. */
export function findWeights(folder: string): string | null {
  const found = WEIGHTS.find((name) => existsSync(join(folder, name)));
  return found === undefined ? null : join(folder, found);
}

/** A folder in which there are no weights. */
export function noWeights(folder: string): InputError {
  const names = readdirSync(folder).sort();
  const some = names.slice(0, 5).join(", ");
  const content = names.length === 0 ? "an empty folder" : `a folder with ${some}${names.length > 5 ? ` and ${names.length - 5} more` : ""}, and no weights`;
  return new InputError({
    where: folder,
    got: content,
    expected: `a file of weights, or a folder with ${WEIGHTS[0]}, ${WEIGHTS[1]} or ${WEIGHTS[4]}`,
    next: "give the file itself if it has another name",
  });
}
