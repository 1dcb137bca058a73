import { InputError } from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { FORMATS, sniff, type FileKind } from "./file-kind.js";
import { openSafetensors, type TensorFile } from "./safetensors-reader.js";

/** Opens the tensors of a file whose format is known. */
export type CheckpointReader = (source: ByteSource, where: string) => Promise<TensorFile>;

/** The formats tensors are read from. A further format is a further line here. */
const READERS: Partial<Readonly<Record<FileKind, CheckpointReader>>> = {
  safetensors: openSafetensors,
  [FORMATS.composition]: openSafetensors,
  [FORMATS.taskVector]: openSafetensors,
  [FORMATS.state]: openSafetensors,
};

/**
 * The reader for a file. One whose content tells nothing, because it was cut or overwritten, is judged by its name,
 * so that the message says what is wrong with it.
 */
function readerFor(kind: FileKind, where: string): CheckpointReader | undefined {
  if (kind === "empty" || kind === "unknown") return where.endsWith(".safetensors") ? openSafetensors : undefined;
  return READERS[kind];
}

/**
 * Opens a file of named tensors, whatever its format.
 * @param where name of the file, for messages.
 * @throws InputError when the file is damaged, or of a format that is not read.
 */
export async function openTensors(source: ByteSource, where: string): Promise<TensorFile> {
  const { kind, description } = await sniff(source);
  const reader = readerFor(kind, where);
  if (reader !== undefined) return reader(source, where);
  throw new InputError({
    where,
    got: description,
    expected: "a checkpoint that can be read: safetensors",
    next: "convert it to safetensors with the tool that wrote it",
  });
}
