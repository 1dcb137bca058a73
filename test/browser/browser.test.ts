import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { build, type BuildResult } from "esbuild";
import { chromium } from "playwright-core";
import { describe, expect, it } from "vitest";
import { CHROMIUM_FLAGS, findChromium, HOW_TO_GET_CHROMIUM } from "../../scripts/browser.mjs";
import { ROOT } from "../../scripts/toolchain.mjs";
import { fixturePath } from "../../packages/core/test/fixture-files.js";
import { seenByEncoders, type SeenByEncoders } from "./encoder-inputs.js";
import { tenSteps, type TenSteps } from "./ten-steps.js";

/** Two versions of one JavaScript engine may round exp and log differently in the last place. */
const TOLERANCE = 1e-4;

interface Bundle {
  readonly code: string;
  readonly inputs: NonNullable<BuildResult["metafile"]>["inputs"];
}

async function bundle(contents: string): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: join(ROOT, "test", "browser"), loader: "ts" },
    bundle: true, write: false, metafile: true, platform: "browser", format: "iife", target: "es2022", absWorkingDir: ROOT, logLevel: "silent",
  });
  return { code: outputFiles[0]!.text, inputs: metafile.inputs };
}

const NO_CHROMIUM = `no Chromium was found. To run it, ${HOW_TO_GET_CHROMIUM}.`;

/** What the function that a script calls `run` returns in a page of a headless Chromium. */
async function inPage<T>(executablePath: string, script: string, arguments_: readonly unknown[] = []): Promise<T> {
  const { code } = await bundle(script);
  const browser = await chromium.launch({ executablePath, args: CHROMIUM_FLAGS });
  try {
    const page = await browser.newPage();
    await page.addScriptTag({ content: code });
    return await page.evaluate((given) => (globalThis as unknown as { run: (...all: unknown[]) => Promise<T> }).run(...given), [...arguments_]);
  } finally {
    await browser.close();
  }
}

describe("in a browser", () => {
  it.each(["core", "clip", "checkpoints", "datasets", "backend-webgpu"])("a bundle of %s holds no Node built-in", async (id) => {
    const { inputs } = await bundle(`export * from "@atlas-tv/${id}";`);
    const own = Object.entries(inputs).filter(([path]) => path.startsWith("packages/"));
    expect(own.length).toBeGreaterThan(1);
    const imported = own.flatMap(([path, { imports }]) => imports.map((item) => ({ path, target: item.original ?? item.path, external: item.external })));
    expect(imported.filter(({ target, external }) => isBuiltin(target) || external === true)).toEqual([]);
  });

  it("such a bundle cannot be made of a module that imports a Node built-in", async () => {
    await expect(bundle('import { readFileSync } from "node:fs"; console.log(readFileSync);')).rejects.toThrow("node:fs");
  });

  it("ten steps of learning lower the loss and give the coefficients that Node gives", async ({ skip }) => {
    const executablePath = findChromium();
    if (executablePath === null) return skip(`Learning in headless Chromium was not run: ${NO_CHROMIUM}`);
    const there = await inPage<TenSteps>(executablePath, 'import { tenSteps } from "./ten-steps.js"; Object.assign(globalThis, { run: tenSteps });');
    const here = await tenSteps();
    expect(there.losses).toHaveLength(10);
    expect(there.losses.at(-1)).toBeLessThan(there.losses[0]!);
    expect(there.coefficients).toHaveLength(here.coefficients.length);
    for (const name of ["losses", "coefficients"] as const) {
      const distance = Math.max(...here[name].map((value, i) => Math.abs(value - there[name][i]!)));
      expect(distance, name).toBeLessThanOrEqual(TOLERANCE);
    }
    expect(here.coefficients.some((value) => Math.abs(value) > 100 * TOLERANCE)).toBe(true);
  });

  it("pictures are preprocessed and augmented, and texts tokenised, to the numbers that Node gives", async ({ skip }) => {
    const executablePath = findChromium();
    if (executablePath === null) return skip(`Preprocessing in headless Chromium was not run: ${NO_CHROMIUM}`);
    const folder = fixturePath("preprocess");
    const files = readdirSync(folder).filter((name) => name.endsWith(".png")).map((name) => [...readFileSync(join(folder, name))]);
    const arguments_ = [files, ["a photo of a cat.", "état &amp; 7 \u0085 \ufeff"], 32] as const;
    const there = await inPage<SeenByEncoders>(
      executablePath,
      'import { seenByEncoders } from "./encoder-inputs.js"; Object.assign(globalThis, { run: seenByEncoders });',
      arguments_,
    );
    expect(files.length).toBeGreaterThan(3);
    expect(there).toEqual(await seenByEncoders(...arguments_));
    expect(there.training).not.toEqual(there.validation);
  });
});
