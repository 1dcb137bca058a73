import { mkdir, readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { InputError } from "@atlas-tv/core";
import { assertWritable, writeFileAtomically, type WrittenFile } from "./atomic-file.js";
import { errnoOf } from "./errno.js";

/** The content of a file: a text, or bytes in pieces. */
export type FileContent = string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Checks that a folder can be made, before long work.
 * @throws InputError when something lies there that is not an empty folder, or the place cannot be written.
 */
export async function assertNewFolder(path: string): Promise<void> {
  const entries = await readdir(path).catch((error: unknown) => {
    const code = errnoOf(error);
    if (code === "ENOENT") return [];
    if (code === "ENOTDIR") return null;
    throw error;
  });
  if (entries?.length === 0) return assertWritable(dirname(resolve(path)));
  throw new InputError({
    where: path,
    got: entries === null ? "a file" : `a folder with ${entries.length === 1 ? `"${entries[0]!}"` : `${entries.length} entries`}`,
    expected: "a folder that is new or empty",
    next: "name another one, or remove it first",
  });
}

/**
 * Writes a folder of files so that it is there whole or not at all: its files go into a folder beside it, which takes its
 * name when all of them are written. What a killed process left is removed by the next write of the same folder.
 * @param files content by name.
 * @returns the files in their final place.
 * @throws InputError as `assertNewFolder`, and whatever a content throws.
 */
export async function writeFolderAtomically(path: string, files: ReadonlyMap<string, FileContent>): Promise<WrittenFile[]> {
  await assertNewFolder(path);
  const folder = resolve(path);
  const temporary = join(dirname(folder), `.${basename(folder)}.tmp`);
  const written: WrittenFile[] = [];
  try {
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true });
    for (const [name, content] of files) {
      const file = await writeFileAtomically(join(temporary, name), typeof content === "string" ? [content] : content);
      written.push({ ...file, path: join(path, name) });
    }
    await rmdir(folder).catch((error: unknown) => {
      if (errnoOf(error) !== "ENOENT") throw error;
    });
    await rename(temporary, folder);
    return written;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}
