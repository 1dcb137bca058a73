import { ELEMENT_BYTES, sizeOf, type ElementType, type StateDict } from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { openTensors } from "./checkpoint-formats.js";
import { decodeComposition } from "./composition-artefact.js";
import { sha256File } from "./file-hash.js";
import { FORMATS, sniff, type ArtefactFormat, type FileKind } from "./file-kind.js";
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
  /** What wrote the file, as far as it says: "atlas", "pt" (PyTorch) …; null when it does not. */
  readonly producer: string | null;
  readonly tensors: readonly TensorSummary[];
  readonly sha256: string;
  readonly metadata: Readonly<Record<string, string>>;
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

/**
 * Tells what a file is and what it holds. Of a checkpoint only the header is parsed, and all bytes are hashed.
 * @throws InputError when it cannot be read, or is none of the formats we read.
 */
export async function inspectFile(path: string): Promise<Inspection> {
  const source = await openFile(path);
  try {
    const { kind } = await sniff(source);
    const file = isJson(kind) ? null : await openTensors(source, path);
    const artefact = kind in ARTEFACTS ? await ARTEFACTS[kind as ArtefactFormat](source, path) : undefined;
    const { metadata = {}, tensors = new Map() } = file ?? {};
    return {
      format: kind,
      producer: kind in ARTEFACTS ? "atlas" : (metadata["format"] ?? null),
      tensors: summarise(tensors),
      sha256: await sha256File(path),
      metadata,
      ...(artefact === undefined ? {} : { artefact }),
    };
  } finally {
    await source.close();
  }
}
