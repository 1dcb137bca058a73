import { InputError } from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { FORMATS, isArtefact, sniff, type FileKind, type Sniffed } from "./file-kind.js";
import { openSafetensors } from "./safetensors-reader.js";
import type { OpenedTensors } from "./tensor-file.js";
import { openTorchLegacy } from "./torch-legacy.js";
import { openTorchZip } from "./torch-zip.js";

/** Opens the tensors of a file whose format is known. */
export type CheckpointReader = (source: ByteSource, where: string, sniffed: Sniffed) => Promise<OpenedTensors>;

const safetensors: CheckpointReader = async (source, where, { kind, description }) => {
  const file = await openSafetensors(source, where);
  const producer = isArtefact(kind) ? "atlas" : (file.metadata["format"] ?? null);
  return { ...file, format: kind, description, producer, module: null };
};

/** The formats tensors are read from. A further format is a further line here. */
const READERS: Partial<Readonly<Record<FileKind, CheckpointReader>>> = {
  safetensors,
  [FORMATS.composition]: safetensors,
  [FORMATS.adapter]: safetensors,
  [FORMATS.taskVector]: safetensors,
  [FORMATS.state]: safetensors,
  "pytorch-zip": openTorchZip,
  torchscript: openTorchZip,
  "pytorch-legacy": openTorchLegacy,
  // Of an archive that is not PyTorch's, its reader says what is missing or damaged.
  zip: openTorchZip,
};

/**
 * The reader for a file. One whose content tells nothing, because it was cut or overwritten, is judged by its name,
 * so that the message says what is wrong with it.
 */
function readerFor(kind: FileKind, where: string): CheckpointReader | undefined {
  if (kind === "empty" || kind === "unknown") return where.endsWith(".safetensors") ? safetensors : undefined;
  return READERS[kind];
}

/** What is read, for messages. */
export const READ_FORMATS = "a checkpoint: safetensors, a file that PyTorch saved, a TorchScript archive or a Hugging Face folder";

/**
 * Opens a file of named tensors, whatever its format, which its content tells.
 * @param where name of the file, for messages.
 * @throws InputError when the file is damaged, or of a format that is not read.
 */
export async function openTensors(source: ByteSource, where: string): Promise<OpenedTensors> {
  const sniffed = await sniff(source);
  const reader = readerFor(sniffed.kind, where);
  if (reader !== undefined) return reader(source, where, sniffed);
  throw new InputError({ where, got: sniffed.description, expected: READ_FORMATS, next: "give the file that holds the weights" });
}
