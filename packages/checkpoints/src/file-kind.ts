import { JsonLimitError, parseBoundedJson } from "./bounded-json.js";
import type { ByteSource } from "./byte-source.js";
import { modelConfigKind } from "./model-config.js";
import { SafetensorsError } from "./safetensors-error.js";
import { LENGTH_BYTES } from "./safetensors-header.js";
import { openSafetensors } from "./safetensors-reader.js";
import { isTorchScript, LEGACY_MAGIC, torchFolder } from "./torch-signature.js";
import { readZipDirectory } from "./zip-directory.js";
import { ZipError } from "./zip-error.js";

/** Values of the field `format` in the files this project writes. */
export const FORMATS = {
  composition: "atlas-composition",
  adapter: "atlas-adapter",
  taskVector: "atlas-task-vector",
  state: "atlas-state",
  run: "atlas-run",
  splits: "atlas-splits",
} as const;

export type ArtefactFormat = (typeof FORMATS)[keyof typeof FORMATS];

export type FileKind =
  | ArtefactFormat
  | "safetensors" | "pytorch-zip" | "torchscript" | "pytorch-legacy"
  /** The index of a checkpoint in several files. */
  | "safetensors-sharded" | "pytorch-sharded"
  /** A Hugging Face folder: `config.json` and weights. */
  | "huggingface"
  | "open-clip-config" | "huggingface-config"
  | "zip" | "pickle" | "json" | "text" | "empty" | "unknown";

/** What a file is, from its content; its name plays no part. */
export interface Sniffed {
  readonly kind: FileKind;
  /** For messages: "a zip archive as PyTorch writes it". */
  readonly description: string;
}

const ARTEFACTS: Readonly<Record<ArtefactFormat, string>> = {
  "atlas-composition": "a learned composition",
  "atlas-adapter": "a fitted adapter",
  "atlas-task-vector": "a task vector",
  "atlas-state": "the saved state of an unfinished run",
  "atlas-run": "the record of a run",
  "atlas-splits": "the splits of a run",
};

/** Enough to recognise any format below. */
const BEGINNING = 512;

/** JSON files that are larger are not ours, and are not parsed to find out. */
const JSON_LIMIT = 32 * 1024 * 1024;

/** With a length from here on, the ninth byte is a brace by chance. */
const IMPLAUSIBLE_HEADER = 2 ** 40;

export function isArtefact(format: unknown): format is ArtefactFormat {
  return typeof format === "string" && Object.hasOwn(ARTEFACTS, format);
}

/** "a task vector (atlas-task-vector)" */
export function describeArtefact(format: ArtefactFormat): string {
  return `${ARTEFACTS[format]} (${format})`;
}

function artefact(format: ArtefactFormat): Sniffed {
  return { kind: format, description: describeArtefact(format) };
}

function startsWith(bytes: Uint8Array, ...magic: number[]): boolean {
  return magic.every((byte, index) => bytes[index] === byte);
}

function looksLikeSafetensors(bytes: Uint8Array): boolean {
  if (bytes.byteLength <= LENGTH_BYTES || bytes[LENGTH_BYTES] !== 0x7b) return false;
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)) < IMPLAUSIBLE_HEADER;
}

async function sniffSafetensors(source: ByteSource): Promise<Sniffed> {
  try {
    const { metadata, tensors } = await openSafetensors(source, "file");
    const format = metadata["format"];
    if (isArtefact(format)) return artefact(format);
    return { kind: "safetensors", description: `a safetensors file of ${tensors.size} tensors` };
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    return { kind: "safetensors", description: "a damaged safetensors file" };
  }
}

/** The name of a zip archive's first entry: PyTorch puts its pickle there, in a folder named after the file. */
function firstEntry(bytes: Uint8Array): string {
  const nameLength = new DataView(bytes.buffer, bytes.byteOffset).getUint16(26, true);
  return new TextDecoder().decode(bytes.subarray(30, 30 + nameLength));
}

async function sniffZip(source: ByteSource, bytes: Uint8Array): Promise<Sniffed> {
  try {
    const entries = await readZipDirectory(source, "file");
    const folder = torchFolder(entries);
    if (folder === null) return { kind: "zip", description: "a zip archive" };
    return isTorchScript(entries, folder)
      ? { kind: "torchscript", description: "a TorchScript archive" }
      : { kind: "pytorch-zip", description: "a zip archive as PyTorch writes it (.pt)" };
  } catch (error) {
    if (!(error instanceof ZipError)) throw error;
    return /(^|\/)(data\.pkl|constants\.pkl|version|byteorder|code\/.*|data\/.*)$/.test(firstEntry(bytes))
      ? { kind: "pytorch-zip", description: "a damaged zip archive as PyTorch writes it (.pt)" }
      : { kind: "zip", description: "a damaged zip archive" };
  }
}

/** The text of bytes that are text; null for binary ones. */
function decodeText(bytes: Uint8Array, complete: boolean): string | null {
  if (bytes.some((byte) => byte < 0x09 || (byte > 0x0d && byte < 0x20))) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: !complete });
  } catch {
    return null;
  }
}

/** What a JSON document is about. */
function sniffObject(value: object): Sniffed {
  if ("format" in value && isArtefact(value.format)) return artefact(value.format);
  if ("weight_map" in value) {
    return JSON.stringify(value.weight_map).includes(".safetensors")
      ? { kind: "safetensors-sharded", description: "the index of a checkpoint in several safetensors files" }
      : { kind: "pytorch-sharded", description: "the index of a checkpoint in several files of PyTorch's" };
  }
  const kind = modelConfigKind(value);
  if (kind === "open_clip") return { kind: "open-clip-config", description: "the configuration of a model, as open_clip writes it" };
  if (kind === "huggingface") return { kind: "huggingface-config", description: "the configuration of a model, as Hugging Face writes it" };
  return { kind: "json", description: "a JSON file" };
}

async function sniffText(source: ByteSource, text: string): Promise<Sniffed> {
  if (/^version https:\/\/git-lfs/.test(text)) return { kind: "text", description: "a Git LFS pointer instead of the file it stands for" };
  if (/^\s*<(!doctype|html|\?xml)/i.test(text)) return { kind: "text", description: "a web page" };
  if (!/^\s*[[{]/.test(text) || source.size > JSON_LIMIT) return { kind: "text", description: "a text file" };
  try {
    const { value } = parseBoundedJson(await source.read(0, source.size));
    return typeof value === "object" && value !== null ? sniffObject(value) : { kind: "json", description: "a JSON file" };
  } catch (error) {
    const got = error instanceof JsonLimitError ? `a JSON file with ${error.message}` : "a text file that is not quite JSON";
    return { kind: "text", description: got };
  }
}

/** Tells what a file is from its content. Never throws on content. */
export async function sniff(source: ByteSource): Promise<Sniffed> {
  if (source.size === 0) return { kind: "empty", description: "an empty file" };
  const bytes = await source.read(0, Math.min(BEGINNING, source.size));
  if (looksLikeSafetensors(bytes)) return sniffSafetensors(source);
  if (startsWith(bytes, 0x50, 0x4b, 0x03, 0x04) && bytes.byteLength >= 30) return sniffZip(source, bytes);
  if (startsWith(bytes, ...LEGACY_MAGIC)) return { kind: "pytorch-legacy", description: "a file in PyTorch's old format" };
  if (startsWith(bytes, 0x80) && bytes[1]! >= 2 && bytes[1]! <= 5) return { kind: "pickle", description: "a Python pickle that PyTorch did not write" };
  const text = decodeText(bytes, bytes.byteLength === source.size);
  if (text !== null) return sniffText(source, text);
  const hex = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return { kind: "unknown", description: `a file of unknown format that begins with ${hex}` };
}
