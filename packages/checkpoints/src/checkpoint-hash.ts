import { createHash } from "node:crypto";
import { basename } from "node:path";
import { readCheckpoint } from "./checkpoint-file.js";
import { sha256File } from "./file-hash.js";

/**
 * SHA-256 of a checkpoint: of its file's content, or, of one in several files, of the lines that `sha256sum` prints for
 * them (index first, then the parts in its order).
 * @param files that hold it.
 */
export async function sha256Files(files: readonly string[]): Promise<string> {
  const [only] = files;
  if (files.length === 1) return sha256File(only!);
  const lines: string[] = [];
  for (const file of files) lines.push(`${await sha256File(file)}  ${basename(file)}\n`);
  return createHash("sha256").update(lines.join("")).digest("hex");
}

/** `sha256Files` of the files of a checkpoint, which may be a folder. @throws InputError when it cannot be opened. */
export async function sha256Checkpoint(path: string): Promise<string> {
  return sha256Files(await readCheckpoint(path, ({ files }) => Promise.resolve(files)));
}
