import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const named = process.env["ATLAS_FIXTURES"] ?? "";

/** The folder of golden numbers: `ATLAS_FIXTURES`, or the copy in the repository. */
export const FIXTURES = named === "" ? join(dirname(fileURLToPath(import.meta.url)), "../../../fixtures") : named;

/** The file that measured deviations are appended to, when a command wants them. */
const DEVIATIONS = process.env["ATLAS_DEVIATIONS"] ?? "";

/** What a test measured against a golden number. */
export interface Deviation {
  /** Full name of the test. */
  readonly test: string;
  readonly what: string;
  readonly error: number;
  readonly limit: number;
}

/** The bytes of a fixture file, e.g. `fixtureBytes("encoder/encoder.safetensors")`. */
export function fixtureBytes(file: string): Uint8Array {
  return readFileSync(join(FIXTURES, file));
}

export function fixtureExists(file: string): boolean {
  return existsSync(join(FIXTURES, file));
}

/** Keeps a deviation for the table of all backends. */
export function recordDeviation(deviation: Deviation): void {
  if (DEVIATIONS !== "") appendFileSync(DEVIATIONS, `${JSON.stringify(deviation)}\n`);
}
