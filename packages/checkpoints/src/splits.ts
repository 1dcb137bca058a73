import { InputError } from "@atlas-tv/core";
import { z } from "zod";
import { check, FORMAT_VERSION, parseArtefact, seedSchema, sha256Schema } from "./artefact.js";
import type { ByteSource } from "./byte-source.js";
import { FORMATS } from "./file-kind.js";
import { sha256Text } from "./sha256.js";

/** The labelled images of one draw. */
export interface ShotDraw {
  readonly seed: number | string;
  /** As on the command line: "4" images a class, "0.25" of all. */
  readonly subsample: string;
  readonly indices: Int32Array;
}

/** How the training set of a data set was divided. Indices count its images from 0, in the data set's own order. */
export interface DatasetSplit {
  readonly name: string;
  /** Images in the training set before it was divided. */
  readonly size: number;
  /** Of the division into training and validation images. */
  readonly seed: number | string;
  readonly train: Int32Array;
  readonly validation: Int32Array;
  /** Drawn from `train`. */
  readonly shots: readonly ShotDraw[];
}

const indices = z.array(z.int().nonnegative().max(2 ** 31 - 1));

const datasetSchema = z.strictObject({
  name: z.string(),
  size: z.int().nonnegative(),
  seed: seedSchema,
  train: indices,
  validation: indices,
  shots: z.array(z.strictObject({ seed: seedSchema, subsample: z.string(), indices })),
});

const splitsSchema = z.strictObject({
  format: z.literal(FORMATS.splits),
  schemaVersion: z.literal(FORMAT_VERSION),
  datasets: z.array(datasetSchema),
  sha256: sha256Schema,
});

type StoredSplit = z.infer<typeof datasetSchema>;

/** Plain, with the fields in the schema's order: equal splits have equal texts. */
function stored({ name, size, seed, train, validation, shots }: DatasetSplit): StoredSplit {
  return {
    name,
    size,
    seed,
    train: [...train],
    validation: [...validation],
    shots: shots.map((draw) => ({ seed: draw.seed, subsample: draw.subsample, indices: [...draw.indices] })),
  };
}

function requireSound(split: StoredSplit, where: string): void {
  const at = `${where}: data set "${split.name}"`;
  const inTrain = new Set(split.train);
  const bad = (got: string, expected: string): InputError => new InputError({ where: at, got, expected });
  const outside = [...split.train, ...split.validation].find((index) => index >= split.size);
  if (outside !== undefined) throw bad(`index ${outside}`, `indices below ${split.size}`);
  if (inTrain.size !== split.train.length) throw bad("an index twice in train", "every index once");
  if (new Set(split.validation).size !== split.validation.length) throw bad("an index twice in validation", "every index once");
  const shared = split.validation.find((index) => inTrain.has(index));
  if (shared !== undefined) throw bad(`index ${shared} in train and in validation`, "every index in one of them");
  for (const { indices: drawn, subsample, seed } of split.shots) {
    const strange = drawn.find((index) => !inTrain.has(index));
    if (strange === undefined) continue;
    throw bad(`index ${strange} in the shots ${subsample} of seed ${seed}, and not in train`, "shots drawn from train");
  }
}

async function hashStored(datasets: readonly StoredSplit[]): Promise<string> {
  return sha256Text(JSON.stringify(datasets));
}

/** SHA-256 of splits: equal if and only if names, seeds and indices are. */
export async function hashSplits(splits: readonly DatasetSplit[]): Promise<string> {
  return hashStored(splits.map(stored));
}

/** The text of a `splits.json`. @throws InputError when indices are out of range or belong to two parts. */
export async function encodeSplits(splits: readonly DatasetSplit[], where = "splits.json"): Promise<string> {
  const datasets = splits.map(stored);
  for (const split of datasets) requireSound(split, where);
  const file = { format: FORMATS.splits, schemaVersion: FORMAT_VERSION, datasets, sha256: await hashStored(datasets) };
  return `${JSON.stringify(check(splitsSchema, file, where, FORMATS.splits))}\n`;
}

/** @throws InputError when it is another kind of file, or its content is not what its hash says. */
export async function decodeSplits(source: ByteSource, where: string): Promise<DatasetSplit[]> {
  const file = await parseArtefact(source, where, FORMATS.splits);
  const { datasets, sha256 } = check(splitsSchema, file, where, FORMATS.splits);
  const hash = await hashStored(datasets);
  if (hash !== sha256) {
    throw new InputError({
      where,
      got: `splits with SHA-256 ${hash}`,
      expected: `${sha256}, as the file says`,
      next: "the file was changed or damaged: restore it, or start a new run",
    });
  }
  for (const split of datasets) requireSound(split, where);
  return datasets.map((split) => ({
    ...split,
    train: Int32Array.from(split.train),
    validation: Int32Array.from(split.validation),
    shots: split.shots.map((draw) => ({ ...draw, indices: Int32Array.from(draw.indices) })),
  }));
}
