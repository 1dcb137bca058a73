/** What a system call's error means, in words, with its code. */
const MEANINGS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EROFS: "the file system is read-only",
  ENOENT: "no such file or folder",
  ENOTDIR: "a part of the path is not a folder",
  EISDIR: "a folder",
  EEXIST: "something of that name is there already",
  ENOSPC: "no space left on the device",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file is larger than the system allows",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "too many symbolic links",
  EMFILE: "too many open files",
  EIO: "input/output error",
};

export function errnoOf(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

export function describeErrno(error: unknown): string {
  const code = errnoOf(error);
  if (code === null) return error instanceof Error ? error.message : String(error);
  return code in MEANINGS ? `${MEANINGS[code]} (${code})` : code;
}
