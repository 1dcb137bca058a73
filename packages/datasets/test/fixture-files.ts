import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const named = process.env["ATLAS_FIXTURES"] ?? "";

const FIXTURES = named === "" ? fileURLToPath(new URL("../../../fixtures/", import.meta.url)) : named;

export function fixturePath(...parts: string[]): string {
  return join(FIXTURES, ...parts);
}

export function fixtureJson<T>(...parts: string[]): T {
  return JSON.parse(readFileSync(fixturePath(...parts), "utf8")) as T;
}

export interface FixtureTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

/** The tensors of a safetensors file that is known to be well formed. */
export function fixtureTensors(...parts: string[]): Map<string, FixtureTensor> {
  const file = readFileSync(fixturePath(...parts));
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + headerLength)) as Record<string, HeaderEntry>;
  const tensors = new Map<string, FixtureTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = entry.data_offsets.map((offset) => 8 + headerLength + offset) as [number, number];
    tensors.set(name, { dtype: entry.dtype, shape: entry.shape, bytes: new Uint8Array(file.subarray(from, to)) });
  }
  return tensors;
}

/** The value of the "f32" column of `tolerances.json`. */
export function tolerance(item: string): number {
  const entry = fixtureJson<Record<string, { f32: number | "exact" }>>("tolerances.json")[item];
  if (entry === undefined) throw new Error(`tolerances.json has no "${item}"`);
  return entry.f32 === "exact" ? 0 : entry.f32;
}
