import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { InputError } from "@atlas-tv/core";
import { describeErrno } from "./errno.js";
import { normalisationOf, parseJsonBytes, parseModelConfig, type ModelConfig } from "./model-config.js";

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

export function isFolder(path: string): boolean {
  // Below a file there is nothing, and stat throws.
  return existsSync(path) && statSync(path).isDirectory();
}

function readSmall(path: string): Uint8Array {
  const bad = (got: string, cause?: unknown): InputError => new InputError({ where: path, got, expected: "a small file that can be read" }, { cause });
  try {
    const { size } = statSync(path);
    if (size > MAX_CONFIG_BYTES) throw bad(`a file of ${size} bytes`);
    return readFileSync(path);
  } catch (error) {
    throw error instanceof InputError ? error : bad(describeErrno(error), error);
  }
}

/**
 * Reads the configuration of a model: open_clip's JSON, bare or as `model_cfg` with `preprocess_cfg`, or Hugging Face's.
 * @throws InputError when it is none.
 */
export function readModelConfig(path: string): ModelConfig {
  return parseModelConfig(readSmall(path), path);
}

/**
 * The configuration that lies in a folder; null when there is none.
 * @throws InputError when there is one that cannot be read.
 */
export function findModelConfig(folder: string): ModelConfig | null {
  const found = CONFIGS.find((name) => existsSync(join(folder, name)));
  if (found === undefined) return null;
  const config = readModelConfig(join(folder, found));
  const processor = join(folder, PROCESSOR);
  if (config.normalisation !== null || !existsSync(processor)) return config;
  return { ...config, normalisation: normalisationOf(parseJsonBytes(readSmall(processor), processor, "the configuration of an image processor")) };
}

/** The file of a folder that holds its weights, or their index; null when there is none. */
export function findWeights(folder: string): string | null {
  const found = WEIGHTS.find((name) => existsSync(join(folder, name)));
  return found === undefined ? null : join(folder, found);
}

/** "a folder with config.json, vocab.json and 3 more" */
export function describeFolder(folder: string): string {
  const names = readdirSync(folder).sort();
  if (names.length === 0) return "an empty folder";
  const more = names.length - 5;
  return `a folder with ${names.slice(0, 5).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** A folder in which there are no weights. */
export function noWeights(folder: string): InputError {
  return new InputError({
    where: folder,
    got: `${describeFolder(folder)}, without weights`,
    expected: `a file of weights, or a folder with ${WEIGHTS[0]}, ${WEIGHTS[1]} or ${WEIGHTS[4]}`,
    next: "give the file itself if it has another name",
  });
}
