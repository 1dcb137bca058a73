import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const named = process.env["ATLAS_FIXTURES"] ?? "";

/** The folder of golden numbers: `ATLAS_FIXTURES`, or the copy in the repository. */
export const FIXTURES = named === "" ? join(dirname(fileURLToPath(import.meta.url)), "../../../fixtures") : named;

/** The file that measured deviations are appended to, when a command wants them. */
const DEVIATIONS = process.env["ATLAS_DEVIATIONS"] ?? "";

/** Whether deviations are collected for the table of all backends: slow devices then run every case. */
export const COLLECTING = DEVIATIONS !== "";

/** What a test measured against a golden number. */
export interface Deviation {
  /** Full name of the test. */
  readonly test: string;
  readonly what: string;
  readonly error: number;
  readonly limit: number;
}

/** Path of a fixture file, e.g. `fixturePath("encoder/encoder.safetensors")`. */
export function fixturePath(file: string): string {
  return join(FIXTURES, file);
}

export function fixtureBytes(file: string): Uint8Array {
  return readFileSync(fixturePath(file));
}

export function fixtureExists(file: string): boolean {
  return existsSync(fixturePath(file));
}

function record(entry: object): void {
  if (COLLECTING) appendFileSync(DEVIATIONS, `${JSON.stringify(entry)}\n`);
}

/** Keeps a deviation for the table of all backends. */
export function recordDeviation(deviation: Deviation): void {
  record(deviation);
}

/** Keeps what a backend computed on. */
export function recordDevice(computed: { readonly backend: string; readonly device: string }): void {
  record(computed);
}
