import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ImageSource } from "@atlas-tv/core";
import { memorySource } from "@atlas-tv/datasets";

/** Side of every picture of the zoo, in pixels. */
export const SIDE = 32;

/** Bytes of one RGB picture. */
export const PICTURE_BYTES = SIDE * SIDE * 3;

/** Raise it when a change of the code changes what is rendered: older cache files are then ignored. */
const RECIPE = 1;

/** Rendered once: bytes by name, plus whatever describes them. */
export interface Rendered<Facts> {
  readonly facts: Facts;
  readonly bytes: Uint8Array;
}

/**
 * Returns what `render` gives, from a file of an earlier call where one has the same key. The file holds a
 * line of JSON (the facts), then the bytes; it is written beside its place and renamed.
 */
export async function cached<Facts>(folder: string, name: string, key: unknown, render: () => Promise<Rendered<Facts>>): Promise<Rendered<Facts>> {
  const hash = createHash("sha256").update(JSON.stringify([RECIPE, key])).digest("hex").slice(0, 16);
  const path = join(folder, `${name}-${hash}.bin`);
  if (existsSync(path)) {
    const file = readFileSync(path);
    const end = file.indexOf(10);
    return { facts: JSON.parse(file.toString("utf8", 0, end)) as Facts, bytes: file.subarray(end + 1) };
  }
  const rendered = await render();
  mkdirSync(folder, { recursive: true });
  const unfinished = `${path}.${process.pid}.unfinished`;
  writeFileSync(unfinished, Buffer.concat([Buffer.from(`${JSON.stringify(rendered.facts)}\n`), rendered.bytes]));
  renameSync(unfinished, path);
  return rendered;
}

/** Pictures in one block of bytes (`length` × 32 × 32 × 3) as an image source. */
export function renderedSource(name: string, classNames: readonly string[], labels: Int32Array, bytes: Uint8Array): ImageSource {
  return memorySource({ name, classNames, labels, width: SIDE, height: SIDE, channels: 3, data: bytes });
}
