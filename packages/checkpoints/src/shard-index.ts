/**
 * A checkpoint in several files, as Hugging Face's tools divide large ones: an index (`model.safetensors.index.json`)
 * with the field `weight_map`, which says for each tensor in which file beside the index it lies.
 */
import { InputError, type StoredTensor } from "@atlas-tv/core";
import { z } from "zod";
import { parseBoundedJson } from "./bounded-json.js";
import type { ByteSource } from "./byte-source.js";
import { readJsonNames } from "./json-names.js";
import type { OpenedTensors } from "./tensor-file.js";

/** The largest public checkpoints have fewer than 200. */
const MAX_SHARDS = 1_000;

/** A name of a file in the same folder. */
const fileName = z.string().regex(/^[^/\\\0]{1,255}$/, "not the name of a file in the same folder").refine((name) => name !== "." && name !== "..", "not the name of a file");

const indexSchema = z.looseObject({ weight_map: z.record(z.string(), fileName) });

export interface ShardIndex {
  /** The file of each tensor, by its name. */
  readonly fileOf: ReadonlyMap<string, string>;
  /** In the order in which they are first named. */
  readonly files: readonly string[];
}

function bad(where: string, got: string, cause?: unknown): InputError {
  const next = "get the index again, together with the files it names";
  return new InputError({ where, got, expected: "the index of a checkpoint: weight_map with a file for each tensor", next }, { cause });
}

/** @throws InputError when it is no index, or names files elsewhere. */
export async function readShardIndex(source: ByteSource, where: string): Promise<ShardIndex> {
  const { value, text } = parseBoundedJson(await source.read(0, source.size));
  const parsed = indexSchema.safeParse(value);
  if (!parsed.success) throw bad(where, `${parsed.error.issues[0]!.path.join(".")}: ${parsed.error.issues[0]!.message}`);
  const { duplicate } = readJsonNames(text);
  if (duplicate !== null) throw bad(where, `the name "${duplicate}" twice`);
  const fileOf = new Map(Object.entries(parsed.data.weight_map));
  const files = [...new Set(fileOf.values())];
  if (files.length === 0) throw bad(where, "no tensor");
  if (files.length > MAX_SHARDS) throw bad(where, `${files.length} files, more than ${MAX_SHARDS}`);
  return { fileOf, files };
}

/**
 * The tensors of all files under one roof, in the order of the files.
 * @param shards by the names of their files.
 * @throws InputError when a tensor is not in the file that the index names, or files hold tensors that it does not name.
 */
export function joinShards({ fileOf, files }: ShardIndex, shards: ReadonlyMap<string, OpenedTensors>, where: string): OpenedTensors {
  const tensors = new Map<string, StoredTensor>();
  for (const file of files) {
    for (const [name, tensor] of shards.get(file)!.tensors) {
      if (fileOf.get(name) !== file) {
        throw bad(where, `tensor "${name}" in ${file}, where the index ${fileOf.has(name) ? `has it in ${fileOf.get(name)}` : "has no such tensor"}`);
      }
      tensors.set(name, tensor);
    }
  }
  const missing = [...fileOf].find(([name]) => !tensors.has(name));
  if (missing !== undefined) throw bad(where, `no tensor "${missing[0]}" in ${missing[1]}`);
  const [first] = shards.values();
  const { producer, metadata } = first!;
  const format = first!.format === "safetensors" ? "safetensors-sharded" : "pytorch-sharded";
  return { tensors, names: [...tensors.keys()], metadata, producer, format, module: null, description: `a checkpoint of ${tensors.size} tensors in ${files.length} files` };
}
