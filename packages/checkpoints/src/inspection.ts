import { dirname, relative } from "node:path";
import { ELEMENT_BYTES, sizeOf, type ElementType, type StateDict } from "@atlas-tv/core";
import { decodeAdapter } from "./adapter-artefact.js";
import type { ByteSource } from "./byte-source.js";
import { readCheckpoint } from "./checkpoint-file.js";
import { isFolder } from "./checkpoint-folder.js";
import { sha256Files } from "./checkpoint-hash.js";
import { decodeComposition } from "./composition-artefact.js";
import { sha256File } from "./file-hash.js";
import { FORMATS, isArtefact, sniff, type ArtefactFormat, type FileKind } from "./file-kind.js";
import { openFile } from "./file-source.js";
import { decodeState } from "./learner-state-artefact.js";
import { decodeRun } from "./run-record.js";
import { decodeSplits } from "./splits.js";

export interface TensorSummary {
  readonly name: string;
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** What `atlas inspect` shows. Holds nothing but JSON. */
export interface Inspection {
  readonly format: FileKind;
  /** What wrote the file, as far as it says: "atlas", "PyTorch", a safetensors file's own `format`; null when it does not. */
  readonly producer: string | null;
  /** Under the names that the file stores: dicts and modules flattened with dots, a bare tensor called `tensor`. */
  readonly tensors: readonly TensorSummary[];
  /** Of the file; of several files as `sha256Files` says. */
  readonly sha256: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Class of a whole module that PyTorch saved. */
  readonly module?: string;
  /** The files of a checkpoint that lies in several, or in a folder. */
  readonly files?: readonly string[];
  /** What one of our files says, without its tensors. */
  readonly artefact?: Readonly<Record<string, unknown>>;
}

function summarise(tensors: StateDict): TensorSummary[] {
  return [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape, bytes: sizeOf(shape) * ELEMENT_BYTES[dtype] }));
}

/** The checked content of our files; task vectors have no content but their tensors and metadata. */
const ARTEFACTS: Readonly<Record<ArtefactFormat, (source: ByteSource, where: string) => Promise<Record<string, unknown> | undefined>>> = {
  [FORMATS.composition]: async (source, where) => {
    const { coefficients: _coefficients, ...rest } = await decodeComposition(source, where);
    return rest;
  },
  [FORMATS.adapter]: async (source, where) => {
    const { state: _state, ...rest } = await decodeAdapter(source, where);
    return rest;
  },
  [FORMATS.taskVector]: () => Promise.resolve(undefined),
  [FORMATS.state]: async (source, where) => {
    const { state, optionsHash } = await decodeState(source, where);
    return { epoch: state.epoch, step: state.step, optionsHash, history: state.history };
  },
  [FORMATS.run]: async (source, where) => ({ ...(await decodeRun(source, where)) }),
  [FORMATS.splits]: async (source, where) => ({
    datasets: (await decodeSplits(source, where)).map(({ name, size, seed, train, validation, shots }) => ({
      name,
      size,
      seed,
      train: train.length,
      validation: validation.length,
      shots: shots.map((draw) => ({ seed: draw.seed, subsample: draw.subsample, images: draw.indices.length })),
    })),
  }),
};

function isJson(kind: FileKind): boolean {
  return kind === FORMATS.run || kind === FORMATS.splits;
}

async function inspectArtefact(path: string, kind: ArtefactFormat): Promise<Record<string, unknown> | undefined> {
  const source = await openFile(path);
  try {
    return await ARTEFACTS[kind](source, path);
  } finally {
    await source.close();
  }
}

async function kindOf(path: string): Promise<FileKind> {
  if (isFolder(path)) return "huggingface";
  const source = await openFile(path);
  try {
    return (await sniff(source)).kind;
  } finally {
    await source.close();
  }
}

/**
 * Tells what a file or a folder is and what it holds. Of a checkpoint only the names, shapes and places of its tensors are
 * read, and all bytes are hashed.
 * @throws InputError when it cannot be read, or is none of the formats we read.
 */
export async function inspectFile(path: string): Promise<Inspection> {
  const kind = await kindOf(path);
  if (isArtefact(kind) && isJson(kind)) {
    const artefact = (await inspectArtefact(path, kind))!;
    return { format: kind, producer: "atlas", tensors: [], sha256: await sha256File(path), metadata: {}, artefact };
  }
  return readCheckpoint(path, async ({ format, producer, tensors, files, metadata, module }) => {
    const artefact = isArtefact(format) ? await inspectArtefact(path, format) : undefined;
    return {
      format,
      producer,
      tensors: summarise(tensors),
      sha256: await sha256Files(files),
      metadata,
      ...(module === null ? {} : { module: module.className }),
      ...(files.length === 1 && files[0] === path ? {} : { files: files.map((file) => relative(isFolder(path) ? path : dirname(path), file)) }),
      ...(artefact === undefined ? {} : { artefact }),
    };
  });
}
