/** Our artefacts on disk: each is written atomically and checked when it is read. */
import type { TaskVector } from "@atlas-tv/core";
import { decodeAdapter, encodeAdapter, type AdapterArtefact } from "./adapter-artefact.js";
import { writeFileAtomically, type WrittenFile } from "./atomic-file.js";
import type { ByteSource } from "./byte-source.js";
import { decodeComposition, encodeComposition, type CompositionArtefact } from "./composition-artefact.js";
import { openFile } from "./file-source.js";
import { decodeState, encodeState, type SavedState } from "./learner-state-artefact.js";
import { taskVectorFile } from "./model-weights.js";
import { decodeRun, encodeRun, type RunRecord } from "./run-record.js";
import { writeSafetensorsFile } from "./safetensors-file.js";
import { decodeSplits, encodeSplits, type DatasetSplit } from "./splits.js";

async function read<T>(path: string, decode: (source: ByteSource, where: string) => Promise<T>): Promise<T> {
  const source = await openFile(path);
  try {
    return await decode(source, path);
  } finally {
    await source.close();
  }
}

/** Writes `composition.safetensors`. @throws InputError when coefficients are not finite, do not fit their shapes, or the place cannot be written. */
export function writeComposition(path: string, artefact: CompositionArtefact): Promise<WrittenFile> {
  return writeFileAtomically(path, encodeComposition(artefact, path));
}

/** Reads a `composition.safetensors`. @throws InputError when it cannot be read, is another kind of file, damaged, of another version, or holds NaN. */
export function readComposition(path: string): Promise<CompositionArtefact> {
  return read(path, decodeComposition);
}

/** Writes `adapter.safetensors`. @throws InputError when a value is not finite, or the place cannot be written. */
export function writeAdapter(path: string, artefact: AdapterArtefact): Promise<WrittenFile> {
  return writeFileAtomically(path, encodeAdapter(artefact, path));
}

/** Reads an `adapter.safetensors`. @throws InputError when it cannot be read, is another kind of file, damaged, of another version, or holds NaN. */
export function readAdapter(path: string): Promise<AdapterArtefact> {
  return read(path, decodeAdapter);
}

/** Writes `run.json`. @throws InputError when a field is not as `runSchema` says, or the place cannot be written. */
export function writeRun(path: string, record: RunRecord): Promise<WrittenFile> {
  return writeFileAtomically(path, [encodeRun(record, path)]);
}

/** Reads a `run.json`. @throws InputError when it cannot be read, is another kind of file, or a field is not as `runSchema` says. */
export function readRun(path: string): Promise<RunRecord> {
  return read(path, decodeRun);
}

/** Writes `splits.json`. @throws InputError when indices are out of range or belong to two parts, or the place cannot be written. */
export async function writeSplits(path: string, splits: readonly DatasetSplit[]): Promise<WrittenFile> {
  return writeFileAtomically(path, [await encodeSplits(splits, path)]);
}

/** Reads a `splits.json`. @throws InputError when it cannot be read, is another kind of file, or its content is not what its hash says. */
export function readSplits(path: string): Promise<DatasetSplit[]> {
  return read(path, decodeSplits);
}

/** Writes `state.safetensors`, from which a run goes on to the same bytes. @throws InputError when the place cannot be written. */
export function writeState(path: string, saved: SavedState): Promise<WrittenFile> {
  return writeFileAtomically(path, encodeState(saved));
}

/** Reads a `state.safetensors`. @throws InputError when it cannot be read, is another kind of file, or not all of a state. */
export function readState(path: string): Promise<SavedState> {
  return read(path, decodeState);
}

/** @param about further metadata: what it was trained on, its accuracy. */
export function writeTaskVector(path: string, vector: TaskVector, about: Readonly<Record<string, string>> = {}): Promise<WrittenFile> {
  const { tensors, metadata } = taskVectorFile(vector, about);
  return writeSafetensorsFile(path, tensors, metadata);
}
