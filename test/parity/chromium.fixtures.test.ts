import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { build, type Plugin } from "esbuild";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, describe, it } from "vitest";
import { CHROMIUM_FLAGS, findChromium, HOW_TO_GET_CHROMIUM, WEBGPU_FLAGS } from "../../scripts/browser.mjs";
import { ROOT } from "../../scripts/toolchain.mjs";
import { hasWebGpu } from "../../scripts/webgpu.mjs";
import { COLLECTING, FIXTURES, recordDevice, recordDeviation, type Deviation } from "../../packages/core/test/fixture-bytes.js";
import type { FixturePage } from "./fixture-bytes-in-browser.js";

/** WebGPU is for secure pages; localhost is one, and nothing listens there: the test answers itself. */
const PAGE = "http://localhost/";

/** Of starting and answering: a busy machine takes its time. */
const TIMEOUT_MS = 180_000;

const here = join(ROOT, "test", "parity");

/** Our packages' sources as browsers load them, and what a page has in the place of vitest and the disk. */
const sources: Plugin = {
  name: "sources",
  setup: ({ onResolve }) => {
    onResolve({ filter: /^@atlas-tv\/[a-z-]+$/ }, ({ path }) => ({ path: join(ROOT, "packages", path.split("/")[1]!, "src", "index.ts") }));
    onResolve({ filter: /\/fixture-bytes\.js$/ }, () => ({ path: join(here, "fixture-bytes-in-browser.ts") }));
    onResolve({ filter: /^vitest$/ }, () => ({ path: join(here, "vitest-in-browser.ts") }));
  },
};

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(here, "suites-in-browser.ts")], plugins: [sources], bundle: true, write: false, platform: "browser", format: "esm",
    target: "es2022", define: { "process.env.NODE_ENV": '"test"' }, tsconfig: join(ROOT, "tsconfig.base.json"), logLevel: "silent",
  });
  return outputFiles[0]!.text;
}

interface Suites {
  testNames(): string[];
  runTest(name: string): Promise<void>;
  probe(): Promise<{ usable: boolean; device: string; missing: readonly string[] }>;
}
type TestPage = FixturePage & { atlasSuites: Suites };

async function openPage(browser: Browser): Promise<Page> {
  const page = await browser.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  const files = readdirSync(FIXTURES, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(json|safetensors)$/.test(entry.name))
    .map((entry) => relative(FIXTURES, join(entry.parentPath, entry.name)));
  await page.route(`${PAGE}**`, async (route) => {
    const path = decodeURIComponent(new URL(route.request().url()).pathname.slice(1));
    if (path === "") await route.fulfill({ contentType: "text/html", body: "<!doctype html><title>parity</title>" });
    else await route.fulfill({ body: readFileSync(join(FIXTURES, path)) });
  });
  await page.goto(PAGE);
  await page.evaluate(async ([collecting, alsoInNode, names]) => {
    Object.assign(globalThis, { atlasCollecting: collecting, atlasAlsoInNode: alsoInNode });
    const read = async (name: string): Promise<[string, Uint8Array]> => [name, new Uint8Array(await (await fetch(`/${name}`)).arrayBuffer())];
    (globalThis as unknown as FixturePage).atlasFixtures = Object.fromEntries(await Promise.all(names.map(read)));
  }, [COLLECTING, hasWebGpu(), files] as const);
  await page.addScriptTag({ content: await bundle(), type: "module" });
  await page.waitForFunction(() => "atlasSuites" in globalThis);
  return page;
}

const executablePath = findChromium();
const browser = executablePath === null ? null : await chromium.launch({ executablePath, args: [...CHROMIUM_FLAGS, ...WEBGPU_FLAGS], timeout: TIMEOUT_MS });
const page = browser === null ? null : await openPage(browser);
const report = await page?.evaluate(() => (globalThis as unknown as TestPage).atlasSuites.probe());
if (report?.usable === true) recordDevice({ backend: "webgpu-chromium", device: report.device });
const why = report === undefined ? `no Chromium was found. To run it, ${HOW_TO_GET_CHROMIUM}.` : report.missing.join("; ");

afterAll(() => browser?.close());

describe("WebGPU in Chromium", async () => {
  if (page === null || report?.usable !== true) {
    it("gives the golden numbers", ({ skip }) => skip(`The numeric tests on WebGPU in Chromium were not run: ${why}`));
    return;
  }
  const names = await page.evaluate(() => (globalThis as unknown as TestPage).atlasSuites.testNames());
  it.each(names)("%s", async (name) => {
    const run = await page.evaluate(async (test) => {
      const { atlasSuites, atlasDeviations } = globalThis as unknown as TestPage;
      const error = await atlasSuites.runTest(test).then(() => null, (reason: unknown) => (reason instanceof Error ? reason.message : String(reason)));
      return { error, deviations: atlasDeviations.splice(0) };
    }, name);
    for (const deviation of run.deviations as Deviation[]) recordDeviation({ ...deviation, test: deviation.test.replace(" on webgpu", " on webgpu-chromium") });
    if (run.error !== null) throw new Error(run.error);
  });
});
