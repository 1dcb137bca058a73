import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const examples = [...readme.matchAll(/```ts\n([^`]+)```/g)].map(([, code]) => code!);

const home = process.cwd();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "atlas-readme-"));
  process.chdir(folder);
});
afterAll(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true, force: true });
});

test("the README has examples", () => {
  expect(examples.length).toBeGreaterThan(0);
});

test.each(examples)("an example of the README runs and prints: %#", async (code) => {
  const printed: unknown[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((...values: unknown[]) => { printed.push(...values); });
  const path = join(folder, `example-${examples.indexOf(code)}.ts`);
  writeFileSync(path, code);
  try {
    await import(/* @vite-ignore */ path);
  } finally {
    log.mockRestore();
  }
  expect(printed.length).toBeGreaterThan(0);
});
