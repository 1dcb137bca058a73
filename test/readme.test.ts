import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { CACHE, ROOT } from "../scripts/toolchain.mjs";
import { command, readManifest } from "./packages/packed-packages.js";

/** A fence of TypeScript or JavaScript; one that is part of something larger says `fragment`. */
const EXAMPLE = /^```(?<language>ts|js)(?<info>[^\n]*)\n(?<code>[\s\S]*?)^```/gm;

const NPM_RUN = /\bnpm run (?:-s )?(?<name>[a-z]+(?:[:-][a-z]+)*)/g;

const folders = [ROOT, ...["packages", "examples"].flatMap((group) => readdirSync(join(ROOT, group)).map((name) => join(ROOT, group, name)))];
const docs = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md")).map((name) => join(ROOT, "docs", name));
const pages = [...folders.map((folder) => join(folder, "README.md")).filter((path) => existsSync(path)), ...docs];
const examples = pages.flatMap((page) => {
  const fences = [...readFileSync(page, "utf8").matchAll(EXAMPLE)].filter(({ groups }) => !groups!["info"]!.includes("fragment"));
  return fences.map(({ groups }, index) => ({ title: `${relative(ROOT, page)}, example ${index + 1}`, language: groups!["language"]!, code: groups!["code"]! }));
});

/** Inside the checkout, so that examples find the packages by name. */
const workshop = join(CACHE, `examples-${process.pid}`);
const fileOf = (index: number): string => join(workshop, `example-${index}.${examples[index]!.language}`);
const callerFolder = mkdtempSync(join(tmpdir(), "atlas-readme-"));

beforeAll(() => {
  mkdirSync(join(workshop, "node_modules"), { recursive: true });
  // A plug-in has its own; everything else is found from the checkout's root.
  symlinkSync(join(ROOT, "packages", "core", "node_modules", "zod"), join(workshop, "node_modules", "zod"), "junction");
  examples.forEach(({ code }, index) => writeFileSync(fileOf(index), code));
});

afterAll(() => {
  rmSync(workshop, { recursive: true, force: true });
  rmSync(callerFolder, { recursive: true, force: true });
});

describe("what the pages say", () => {
  it("the first page has an example of the interface", () => {
    expect(examples.some(({ title }) => title.startsWith("README.md"))).toBe(true);
  });

  it("examples in TypeScript have no type errors", async () => {
    const config = { extends: join(ROOT, "tsconfig.test.json"), compilerOptions: { noUnusedLocals: false }, include: ["*.ts"] };
    writeFileSync(join(workshop, "tsconfig.json"), JSON.stringify(config));
    await command(process.execPath, [join(ROOT, "node_modules", "typescript", "bin", "tsc"), "-p", workshop], ROOT);
  });

  it.each(examples.map(({ title }, index) => [title, index] as const))("%s runs as it stands", async (title, index) => {
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    const before = process.cwd();
    // The first page speaks to somebody in a checkout, the others to somebody who has installed a package.
    process.chdir(title.startsWith("README.md") ? ROOT : callerFolder);
    try {
      await import(pathToFileURL(fileOf(index)).href);
    } finally {
      process.chdir(before);
      log.mockRestore();
    }
  });

  it.each(pages.map((page) => relative(ROOT, page)))("the commands that %s names exist", (page) => {
    const { scripts } = readManifest(ROOT) as { scripts?: Record<string, string> };
    const named = [...readFileSync(join(ROOT, page), "utf8").matchAll(NPM_RUN)].map(({ groups }) => groups!["name"]!);
    expect(named.filter((name) => scripts?.[name] === undefined)).toEqual([]);
  });
});
