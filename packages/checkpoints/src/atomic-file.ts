import { createHash, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { access, mkdir, open, readdir, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { threadId } from "node:worker_threads";
import { InputError } from "@atlas-tv/core";
import { describeErrno, errnoOf } from "./errno.js";

/** What was written. */
export interface WrittenFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

type Chunks = Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>;

/** Temporary files of this thread that are being written. */
const writing = new Set<string>();

/** Processes of another machine on a shared disk cannot be asked whether they live. */
const HOST = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);

const NEXT = "give another folder, or make this one writable";

/** What to do where the place itself could be written. */
const NEXT_BY_CODE: Readonly<Record<string, string>> = {
  ENOSPC: "make room there, or give another folder",
  EDQUOT: "make room there, or give another folder",
  EFBIG: "raise the limit on the size of files, or give another folder",
};

function cannotWrite(path: string, cause: unknown): InputError {
  const next = NEXT_BY_CODE[errnoOf(cause) ?? ""] ?? NEXT;
  return new InputError({ where: path, got: describeErrno(cause), expected: "a place that can be written", next }, { cause });
}

/** Runs a step of writing; an error of the system is the caller's bad path, a full disk, and so on. */
async function step<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw errnoOf(error) === null ? error : cannotWrite(path, error);
  }
}

function temporaryName(target: string): string {
  return `.${target}.${HOST}-${process.pid}-${threadId}-${randomBytes(4).toString("hex")}.tmp`;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== "ESRCH";
  }
}

/** Removes temporary files of the same target whose writer is gone. */
async function removeStale(folder: string, target: string): Promise<void> {
  const prefix = `.${target}.${HOST}-`;
  for (const name of await readdir(folder)) {
    const [, pid, thread] = name.startsWith(prefix) ? (/^(\d+)-(\d+)-[0-9a-f]{8}\.tmp$/.exec(name.slice(prefix.length)) ?? []) : [];
    if (pid === undefined || writing.has(join(folder, name))) continue;
    const isOurs = Number(pid) === process.pid;
    const gone = isOurs ? Number(thread) === threadId : !isAlive(Number(pid));
    if (gone) await rm(join(folder, name), { force: true });
  }
}

/** A rename is lasting only once its folder has reached the disk. Windows has no such call. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) done += (await handle.write(bytes, done)).bytesWritten;
}

async function fill(handle: FileHandle, path: string, chunks: Chunks): Promise<WrittenFile> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of chunks) {
    const data = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
    hash.update(data);
    bytes += data.byteLength;
    await step(path, () => writeAll(handle, data));
  }
  await step(path, () => handle.sync());
  return { path, bytes, sha256: hash.digest("hex") };
}

/**
 * Writes a file so that at every moment its name stands for the old content, whole, or the new, whole: a temporary
 * file beside it, fsync, rename, fsync of the folder. Folders on the way are made. Whatever fails, no temporary file
 * stays; one that a killed process left is removed by the next write of the same file.
 * @throws InputError when the place cannot be written, and whatever `chunks` throws.
 */
export async function writeFileAtomically(path: string, chunks: Chunks): Promise<WrittenFile> {
  const folder = dirname(resolve(path));
  const target = basename(resolve(path));
  await step(path, () => mkdir(folder, { recursive: true }));
  await step(path, () => removeStale(folder, target));
  const temporary = join(folder, temporaryName(target));
  writing.add(temporary);
  try {
    const handle = await step(path, () => open(temporary, "wx"));
    let written: WrittenFile;
    try {
      written = await fill(handle, path, chunks);
    } finally {
      await handle.close();
    }
    await step(path, () => rename(temporary, path));
    await step(path, () => syncFolder(folder));
    return written;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  } finally {
    writing.delete(temporary);
  }
}

/** The nearest folder at or above a path that exists. */
async function existingFolder(path: string): Promise<string> {
  for (let at = resolve(path); ; at = dirname(at)) {
    try {
      if (!(await stat(at)).isDirectory()) {
        throw new InputError({ where: path, got: `${at} is a file`, expected: "a folder that can be written", next: NEXT });
      }
      return at;
    } catch (error) {
      const code = errnoOf(error);
      if ((code !== "ENOENT" && code !== "ENOTDIR") || at === dirname(at)) throw code === null ? error : cannotWrite(path, error);
    }
  }
}

/**
 * Checks, before long work, that files can be written to a folder, which need not exist yet. Leaves nothing behind; what a
 * killed process left of its own check is removed.
 * @throws InputError with the system's reason.
 */
export async function assertWritable(folder: string): Promise<void> {
  const existing = await existingFolder(folder);
  const probe = join(existing, temporaryName("probe"));
  await step(folder, async () => {
    await access(existing, constants.W_OK);
    await removeStale(existing, "probe");
    await (await open(probe, "wx")).close();
    await rm(probe);
  });
}
