/** The fixture files that the test has handed to the page, in the place of those on disk. */
import type { Deviation } from "../../packages/core/test/fixture-bytes.js";

export interface FixturePage {
  atlasFixtures: Record<string, Uint8Array>;
  atlasDeviations: Deviation[];
  atlasCollecting: boolean;
  /** WebGPU computes in Node as well, where all of its tests run. */
  atlasAlsoInNode: boolean;
}

const page = globalThis as unknown as FixturePage;
page.atlasDeviations = [];

export const COLLECTING = page.atlasCollecting;

export const ALSO_IN_NODE = page.atlasAlsoInNode;

export function fixturePath(file: string): string {
  return file;
}

export function fixtureBytes(file: string): Uint8Array {
  const bytes = page.atlasFixtures[file];
  if (bytes === undefined) throw new Error(`no fixture file "${file}"`);
  return bytes;
}

export function fixtureExists(file: string): boolean {
  return file in page.atlasFixtures;
}

export function recordDeviation(deviation: Deviation): void {
  page.atlasDeviations.push(deviation);
}
