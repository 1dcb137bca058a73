import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HostileFile } from "./hostile-file.js";
import { HOSTILE_OTHERS } from "./hostile-others.js";
import { HOSTILE_PICKLES } from "./hostile-pickles.js";
import { HOSTILE_ZIPS } from "./hostile-zips.js";

/** One file or more for each way in which a file can be wrong. */
export const CORPUS: readonly HostileFile[] = [...HOSTILE_ZIPS, ...HOSTILE_PICKLES, ...HOSTILE_OTHERS];

/** Writes one file of the corpus. Its name tells nothing, as names do not. @returns its path. */
export function writeHostile(folder: string, file: HostileFile): string {
  const name = `${CORPUS.indexOf(file)}.bin`;
  const path = join(folder, name);
  const bytes = file.bytes();
  const text = bytes.length < 200 ? Buffer.from(bytes).toString("latin1") : "";
  writeFileSync(path, text.includes("SELF") ? text.replace("SELF", name) : bytes);
  return path;
}
