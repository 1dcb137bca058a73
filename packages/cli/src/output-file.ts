import { dirname, extname, resolve } from "node:path";
import { assertWritable } from "@atlas-tv/checkpoints";
import { InputError } from "@atlas-tv/core";
import { pathKind } from "./path-kind.js";

/** Names of formats that are not written: a file so called would hold something else. */
const FOREIGN = new Set([".pt", ".pth", ".bin", ".ckpt", ".pkl", ".npy", ".npz", ".h5", ".gguf"]);

/** @throws InputError where the extension of `--out` promises a format that is not written. */
export function refuseForeignName(out: string, written: string): void {
  const extension = extname(out).toLowerCase();
  if (!FOREIGN.has(extension)) return;
  throw new InputError({
    where: `--out ${out}`,
    got: `a name that ends in ${extension}, a format that is not written`,
    expected: written,
    next: `for example --out ${out.slice(0, -extension.length)}.safetensors`,
  });
}

/** @throws InputError, before anything is computed, where no file can be written at that place. */
export async function assertFilePlace(out: string): Promise<void> {
  if (pathKind(out) === "folder") {
    throw new InputError({ where: `--out ${out}`, got: "a folder", expected: "the name of a file to write", next: "name a file in that folder" });
  }
  await assertWritable(dirname(resolve(out)));
}
