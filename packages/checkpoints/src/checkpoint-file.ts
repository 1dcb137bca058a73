import { dirname, join } from "node:path";
import { findWeights, isFolder, noWeights } from "./checkpoint-folder.js";
import { openTensors } from "./checkpoint-formats.js";
import { sniff } from "./file-kind.js";
import { openFile, type FileSource } from "./file-source.js";
import { joinShards, readShardIndex } from "./shard-index.js";
import type { OpenedTensors } from "./tensor-file.js";

/** A checkpoint on disk; its tensors can be read until it is closed. */
export interface CheckpointFile extends OpenedTensors, AsyncDisposable {
  /** As it was given: a file or a folder. */
  readonly path: string;
  /** The files that hold it, absolute or relative as `path` is: one, or an index and then its parts. */
  readonly files: readonly string[];
  close(): Promise<void>;
}

/** Files that are opened one after another and closed together. */
class OpenFiles {
  readonly #open: FileSource[] = [];
  readonly paths: string[] = [];

  async open(path: string): Promise<FileSource> {
    const source = await openFile(path);
    this.#open.push(source);
    this.paths.push(path);
    return source;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((source) => source.close()));
  }
}

async function openShards(index: FileSource, path: string, files: OpenFiles): Promise<OpenedTensors> {
  const map = await readShardIndex(index, path);
  const shards = new Map<string, OpenedTensors>();
  for (const name of map.files) {
    const shard = join(dirname(path), name);
    shards.set(name, await openTensors(await files.open(shard), shard));
  }
  return joinShards(map, shards, path);
}

async function openAny(path: string, files: OpenFiles): Promise<OpenedTensors> {
  if (isFolder(path)) {
    const weights = findWeights(path);
    if (weights === null) throw noWeights(path);
    return { ...(await openAny(weights, files)), format: "huggingface" };
  }
  const source = await files.open(path);
  const { kind } = await sniff(source);
  return kind === "safetensors-sharded" || kind === "pytorch-sharded" ? openShards(source, path, files) : openTensors(source, path);
}

/**
 * Opens a checkpoint of any format, which its content tells and not its name: safetensors, whole or in parts; what
 * PyTorch saved, as zip archive or in its old format; a TorchScript archive; a folder of Hugging Face or open_clip.
 * Tensors are read when asked for, so close it only afterwards, or write `await using`.
 * @throws InputError when there is no such file, it is damaged, or its format is not read.
 */
export async function openCheckpoint(path: string): Promise<CheckpointFile> {
  const files = new OpenFiles();
  const close = (): Promise<void> => files.close();
  try {
    return { ...(await openAny(path, files)), path, files: files.paths, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens a checkpoint, hands it on, and closes it whatever happens. */
export async function readCheckpoint<T>(path: string, use: (file: CheckpointFile) => Promise<T>): Promise<T> {
  const file = await openCheckpoint(path);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
