import { openTensors } from "./checkpoint-formats.js";
import { openFile } from "./file-source.js";
import type { TensorFile } from "./safetensors-reader.js";

/** A checkpoint on disk; its tensors can be read until it is closed. */
export interface CheckpointFile extends TensorFile, AsyncDisposable {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Opens a checkpoint. Tensors are read when asked for, so close it only afterwards, or write `await using`.
 * @throws InputError when there is no such file, it is damaged, or its format is not read.
 */
export async function openCheckpoint(path: string): Promise<CheckpointFile> {
  const source = await openFile(path);
  const close = (): Promise<void> => source.close();
  try {
    const { tensors, metadata, names } = await openTensors(source, path);
    return { path, tensors, metadata, names, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens a checkpoint, hands it on, and closes it whatever happens. */
export async function readCheckpoint<T>(path: string, use: (file: TensorFile) => Promise<T>): Promise<T> {
  const file = await openCheckpoint(path);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
