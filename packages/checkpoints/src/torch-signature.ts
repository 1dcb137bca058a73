/** What tells files of PyTorch's from others. */
import type { ZipEntries } from "./zip-directory.js";

/** The first pickle of the old format: PROTO 2, and the magic number 0x1950a86a20f9469cfc6c as a long. */
export const LEGACY_MAGIC = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];

/** The entry of a zip archive that describes what was saved. */
export const PICKLE = "data.pkl";

/** The folder that holds the pickle, with the slash at its end; null unless there is one. */
export function torchFolder(entries: ZipEntries): string | null {
  const found = [...entries.keys()].filter((name) => name === PICKLE || /^[^/]+\/data\.pkl$/.test(name));
  return found.length === 1 ? found[0]!.slice(0, -PICKLE.length) : null;
}

/** TorchScript keeps its code beside its tensors. It is never looked at. */
export function isTorchScript(entries: ZipEntries, folder: string): boolean {
  return entries.has(`${folder}constants.pkl`) || [...entries.keys()].some((name) => name.startsWith(`${folder}code/`));
}
