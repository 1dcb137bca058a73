import { createHash } from "node:crypto";
import { openFile } from "./file-source.js";

/** Hashed at a time. */
const CHUNK = 1 << 20;

/** SHA-256 of a file's content as 64 hexadecimal digits. @throws InputError when it cannot be read. */
export async function sha256File(path: string): Promise<string> {
  const source = await openFile(path);
  try {
    const hash = createHash("sha256");
    for (let at = 0; at < source.size; at += CHUNK) hash.update(await source.read(at, Math.min(CHUNK, source.size - at)));
    return hash.digest("hex");
  } finally {
    await source.close();
  }
}
