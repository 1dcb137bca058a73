import { open } from "node:fs/promises";
import { InputError } from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { describeErrno } from "./errno.js";

/** Some systems read at most 2 GiB in one call. */
const READ_LIMIT = 1 << 30;

/** An open file; whoever opened it closes it. */
export interface FileSource extends ByteSource, AsyncDisposable {
  close(): Promise<void>;
}

/**
 * Opens a file for reading by range.
 * @throws InputError when there is no such file, or it may not be read.
 */
export async function openFile(path: string): Promise<FileSource> {
  const handle = await open(path, "r").catch((error: unknown) => {
    throw new InputError({ where: path, got: describeErrno(error), expected: "a file that can be read" }, { cause: error });
  });
  const stats = await handle.stat();
  if (!stats.isFile()) {
    await handle.close();
    const got = stats.isDirectory() ? "a folder" : "not a regular file";
    throw new InputError({ where: path, got, expected: "a file that can be read" });
  }
  const { size } = stats;
  const close = (): Promise<void> => handle.close();
  return {
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, READ_LIMIT), offset + done);
        if (bytesRead === 0) {
          throw new InputError({
            where: path,
            got: `the end of the file at byte ${offset + done}`,
            expected: `bytes up to ${offset + length}`,
            next: "the file was cut while it was read: try again",
          });
        }
        done += bytesRead;
      }
      return bytes;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
