import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ESLint, Linter } from "eslint";
import tseslint from "typescript-eslint";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import packageArrows from "../eslint/package-arrows.js";
import { ROOT } from "../scripts/toolchain.mjs";

let folder: string;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "atlas-arrows-")));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the rule says about the last of `files`, which lie in a checkout of their own. */
function messages(files: Readonly<Record<string, string>>): string[] {
  const linter = new Linter({ cwd: folder });
  let file = "";
  for (const [path, text] of Object.entries(files)) {
    file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const config: Linter.Config = {
    files: ["**/*.ts"],
    languageOptions: { parser: tseslint.parser as Linter.Parser },
    plugins: { atlas: { rules: { "package-arrows": packageArrows } } } as unknown as Record<string, ESLint.Plugin>,
    rules: { "atlas/package-arrows": "error" },
  };
  const found = linter.verify(Object.values(files).at(-1)!, [config], { filename: file });
  rmSync(join(folder, "packages"), { recursive: true, force: true });
  return found.map(({ messageId, message }) => messageId ?? message);
}

describe("the rule of the package arrows", () => {
  it.each([
    ["a package imports another one", "clip", 'import { openSafetensors } from "@atlas-tv/checkpoints";', "sibling"],
    ["a package imports a type of another one", "clip", 'import type { TensorFile } from "@atlas-tv/checkpoints";', "sibling"],
    ["a package re-exports another one", "clip", 'export * from "@atlas-tv/datasets";', "sibling"],
    ["a package loads another one when it runs", "datasets", 'export const load = () => import("@atlas-tv/clip");', "sibling"],
    ["a package names a type of another one in place", "datasets", 'export type Config = import("@atlas-tv/clip").ClipConfig;', "sibling"],
    ["a package reaches into another one's folder", "clip", 'export * from "../../checkpoints/src/index.js";', "outside"],
    ["core imports a plug-in", "core", 'import { cpuBackend } from "@atlas-tv/backend-cpu";', "core"],
    ["core imports a Node built-in", "core", 'import { readFileSync } from "node:fs";', "builtin"],
    ["core imports a Node built-in without its prefix", "core", 'import type { Readable } from "stream";', "builtin"],
  ])("fires where %s", (_what, owner, code, messageId) => {
    expect(messages({ [`packages/${owner}/src/bad.ts`]: code })).toEqual([messageId]);
  });

  it("fires on a Node built-in that src/index.ts reaches through other files", () => {
    expect(messages({
      "packages/checkpoints/src/index.ts": 'export * from "./reader.js";',
      "packages/checkpoints/src/reader.ts": 'import { bytes } from "./file.js";\nexport const reader = bytes;',
      "packages/checkpoints/src/file.ts": 'import { readFileSync } from "node:fs";\nexport const bytes = readFileSync;',
    })).toEqual(["builtin"]);
  });

  it("lets a file behind src/node.ts use Node", () => {
    expect(messages({
      "packages/checkpoints/src/index.ts": "export const reader = 1;",
      "packages/checkpoints/src/node.ts": 'export * from "./index.js";\nexport * from "./file.js";',
      "packages/checkpoints/src/file.ts": 'import { readFileSync } from "node:fs";\nexport const bytes = readFileSync;',
    })).toEqual([]);
  });

  it.each([
    ["a package import core", "clip", 'import { InputError } from "@atlas-tv/core";'],
    ["the command line import every package", "cli", 'import "@atlas-tv/clip"; import "@atlas-tv/backend-cpu"; import "node:fs";'],
    ["a test import any package", "", 'import "@atlas-tv/clip";'],
  ])("lets %s", (_what, owner, code) => {
    expect(messages({ [owner === "" ? "packages/core/test/a.test.ts" : `packages/${owner}/src/good.ts`]: code })).toEqual([]);
  });
});

describe("the linter of this repository", () => {
  const linter = new ESLint({ cwd: ROOT });
  const lint = async (path: string, code: string): Promise<(string | null)[]> => {
    const [result] = await linter.lintText(code, { filePath: join(ROOT, path) });
    return result!.messages.map(({ ruleId }) => ruleId);
  };

  it("applies the rule to the sources of the packages", async () => {
    expect(await lint("packages/clip/src/index.ts", 'export * from "@atlas-tv/checkpoints";')).toEqual(["atlas/package-arrows"]);
  });

  it("refuses any, long files and promises that nobody waits for", async () => {
    expect(await lint("packages/clip/src/index.ts", "export const value: any = 1;")).toEqual(["@typescript-eslint/no-explicit-any"]);
    expect(await lint("packages/clip/src/index.ts", "// one line\n".repeat(400) + "export const value = 1;")).toEqual(["max-lines"]);
    expect(await lint("packages/clip/src/index.ts", "Promise.resolve(1);")).toEqual(["@typescript-eslint/no-floating-promises"]);
  });
});
