import { open, stat } from "node:fs/promises";
import { InputError } from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { describeErrno } from "./errno.js";

/** Some systems read at most 2 GiB in one call. */
const READ_LIMIT = 1 << 30;

/** From this size on, two halves are read at the same time: giving memory to so many bytes takes longer than copying them. */
const PARALLEL_FROM = 1 << 20;

/** An open file; whoever opened it closes it. */
export interface FileSource extends ByteSource, AsyncDisposable {
  close(): Promise<void>;
}

/**
 * Opens a file for reading by range.
 * @throws InputError when there is no such file, or it may not be read.
 */
export async function openFile(path: string): Promise<FileSource> {
  const cannotRead = (cause: unknown): InputError =>
    new InputError({ where: path, got: describeErrno(cause), expected: "a file that can be read" }, { cause });
  // Opening a pipe would wait for its other end.
  const stats = await stat(path).catch((error: unknown) => { throw cannotRead(error); });
  if (!stats.isFile()) {
    const got = stats.isDirectory() ? "a folder" : "not a regular file";
    throw new InputError({ where: path, got, expected: "a file that can be read" });
  }
  const handle = await open(path, "r").catch((error: unknown) => { throw cannotRead(error); });
  const { size } = stats;
  const close = (): Promise<void> => handle.close();

  /** Fills `bytes` from `start` to `end` with what lies in the file from `offset` on. */
  const fill = async (bytes: Uint8Array, start: number, end: number, offset: number): Promise<void> => {
    for (let at = start; at < end;) {
      const { bytesRead } = await handle.read(bytes, at, Math.min(end - at, READ_LIMIT), offset + at);
      if (bytesRead === 0) {
        throw new InputError({
          where: path,
          got: `the end of the file at byte ${offset + at}`,
          expected: `bytes up to ${offset + bytes.byteLength}`,
          next: "the file was cut while it was read: try again",
        });
      }
      at += bytesRead;
    }
  };

  return {
    size,
    async read(offset, length) {
      // Not cleared first: every byte is read, or the whole is given up.
      const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
      const middle = length < PARALLEL_FROM ? length : Math.floor(length / 2);
      await Promise.all([fill(bytes, 0, middle, offset), fill(bytes, middle, length, offset)]);
      return bytes;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
