import { existsSync, readFileSync } from "node:fs";
import { extname, join, resolve, basename } from "node:path";
import {
  assertNewFolder, encodeOnnxEncoder, encodeSafetensors, toHuggingFace, writeFileAtomically, writeFolderAtomically,
  writeSafetensorsFile, type FileContent, type WrittenFile,
} from "@atlas-tv/checkpoints";
import {
  ClipTokenizer, huggingFaceConfig, huggingFacePreprocessor, huggingFaceTokenizerFiles, textSpec,
  type ClipConfig,
} from "@atlas-tv/clip";
import {
  InputError, sameShape, storedTensor,
  type HostTensor, type ImageEncoderSpec, type NamedHostTensors, type Normalisation, type StateDict, type StoredTensor,
} from "@atlas-tv/core";
import { Option, type Command } from "commander";
import { modelCard, provenanceMetadata, type Provenance } from "./model-card.js";
import { assertFilePlace, refuseForeignName } from "./output-file.js";

export const MODEL_FORMATS = ["safetensors", "huggingface", "onnx"] as const;
export type ModelFormat = (typeof MODEL_FORMATS)[number];

export interface FormatFlags {
  readonly out?: string;
  readonly format?: ModelFormat;
}

/** A model under open_clip's names, to be written in any format. */
export interface ModelToWrite {
  readonly config: ClipConfig;
  readonly spec: ImageEncoderSpec;
  readonly normalisation: Normalisation;
  /** All tensors: both towers where they are there, logit_scale, buffers. */
  readonly tensors: ReadonlyMap<string, StoredTensor | HostTensor>;
  /** The blocks and buffers of the image encoder, in memory. */
  readonly encoder: NamedHostTensors;
  readonly provenance: Provenance;
  /** The folder in which files of a tokenizer may lie. */
  readonly folder: string;
  /** Further files of a Hugging Face folder, by name. */
  readonly extra?: ReadonlyMap<string, FileContent>;
}

export function addFormatFlags(command: Command): Command {
  return command
    .option("--out <path>", "what to write: a .safetensors or .onnx file, or a new folder for Hugging Face's tools")
    .addOption(new Option("--format <name>", "format of the result (default: from --out)").choices(MODEL_FORMATS));
}

/** Where to write and in which format. @throws InputError when the place is taken, before anything is computed. */
export async function destination({ out, format }: FormatFlags, command: string): Promise<{ out: string; format: ModelFormat }> {
  if (out === undefined) {
    throw new InputError({
      where: `atlas ${command}`,
      got: "no --out",
      expected: "the .safetensors or .onnx file, or the folder, to write",
      next: "for example --out merged/zeroshot.safetensors",
    });
  }
  const byName: Readonly<Record<string, ModelFormat>> = { ".safetensors": "safetensors", ".onnx": "onnx" };
  if (format === undefined) refuseForeignName(out, "a .safetensors or .onnx file, or a new folder for Hugging Face's tools");
  const chosen = format ?? byName[extname(out)] ?? "huggingface";
  await (chosen === "huggingface" ? assertNewFolder(out) : assertFilePlace(out));
  return { out, format: chosen };
}

const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt", "vocabulary.json"];

/** Ids of OpenAI's vocabulary, which most CLIPs have. */
const OPENAI_IDS = 49408;

/** The files of the model's own tokenizer, or of OpenAI's where the number of ids says that it is the model's. */
async function tokenizerFiles(folder: string, ids: number, contextLength: number): Promise<Map<string, FileContent>> {
  const own = TOKENIZER_FILES.filter((name) => existsSync(join(folder, name)));
  if (own.length > 0) return new Map(own.map((name) => [name, [readFileSync(join(folder, name))]]));
  return ids === OPENAI_IDS ? huggingFaceTokenizerFiles(await ClipTokenizer.openAi(contextLength)) : new Map();
}

const stored = (tensor: StoredTensor | HostTensor): StoredTensor => ("bytes" in tensor ? tensor : storedTensor(tensor));

/** The tensors that a configuration is about, and that configuration: of both towers where the whole text tower is there. */
function ofConfig(model: ModelToWrite): { config: ClipConfig; tensors: StateDict } {
  const { tensors, spec, config } = model;
  const there = ({ name, shape }: { name: string; shape: readonly number[] }): boolean => {
    const tensor = tensors.get(name);
    return tensor !== undefined && sameShape(tensor.shape, shape);
  };
  const text = config.text_cfg === undefined ? [] : [...textSpec(config).blocks, { name: "logit_scale", shape: [] }];
  const hasText = text.length > 0 && text.every(there);
  const image = spec.blocks.filter(({ kind }) => kind !== "leftover");
  const names = new Set([...image, ...(hasText ? text : [])].map(({ name }) => name));
  return {
    config: hasText ? config : { ...config, text_cfg: undefined },
    tensors: new Map([...tensors].filter(([name]) => names.has(name)).map(([name, tensor]) => [name, stored(tensor)])),
  };
}

async function writeHuggingFace(out: string, model: ModelToWrite): Promise<WrittenFile[]> {
  const { config, tensors } = ofConfig(model);
  const { text_cfg: text } = config;
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  const files = new Map<string, FileContent>([
    ["config.json", json(huggingFaceConfig(config))],
    ["preprocessor_config.json", json(huggingFacePreprocessor(model.spec.imageSize, model.normalisation))],
    ["README.md", modelCard(basename(resolve(out)), model.provenance, { hasText: text !== undefined })],
    ...(text === undefined ? [] : await tokenizerFiles(model.folder, text.vocab_size, text.context_length)),
    ...(model.extra ?? []),
    ["model.safetensors", encodeSafetensors(toHuggingFace(tensors), provenanceMetadata(model.provenance))],
  ]);
  return writeFolderAtomically(out, files);
}

/**
 * Writes a model: safetensors under open_clip's names, with everything that the tensors hold; a folder that transformers
 * and transformers.js load; or its image encoder as one ONNX file.
 * @throws InputError for a format that cannot hold the model.
 */
export async function writeModel(format: ModelFormat, out: string, model: ModelToWrite): Promise<WrittenFile[]> {
  switch (format) {
    case "safetensors": return [await writeSafetensorsFile(out, model.tensors, provenanceMetadata(model.provenance))];
    case "huggingface": return writeHuggingFace(out, model);
    case "onnx": {
      const { mean, std } = model.normalisation;
      const metadata = { ...provenanceMetadata(model.provenance), image_mean: JSON.stringify(mean), image_std: JSON.stringify(std) };
      return [await writeFileAtomically(out, encodeOnnxEncoder(model.spec, model.encoder, metadata))];
    }
  }
}
