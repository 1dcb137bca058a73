import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const named = process.env["ATLAS_FIXTURES"] ?? "";

/** Where the golden files are. */
export const FIXTURES = named === "" ? fileURLToPath(new URL("../../../fixtures/", import.meta.url)) : named;

export function fixture(...parts: string[]): string {
  return join(FIXTURES, ...parts);
}

export function fixtureJson(...parts: string[]): unknown {
  return JSON.parse(readFileSync(fixture(...parts), "utf8"));
}

/** Every safetensors file under a folder of the fixtures, as paths relative to it. */
export function safetensorsFiles(folder: string): string[] {
  return readdirSync(fixture(folder), { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".safetensors")).sort();
}
