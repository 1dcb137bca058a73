import { join } from "node:path";
import { readComposition } from "@atlas-tv/checkpoints";
import { ZOO_MODEL, zooCheckpoints } from "@atlas-tv/zoo";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { relativeError, tolerance } from "../../../packages/core/test/fixture-files.js";
import { findChromium, HOW_TO_GET_CHROMIUM, WEBGPU_FLAGS } from "../../../scripts/browser.mjs";
import { digitImages, type DigitImage } from "./digit-images.js";
import { featuresByCli, predictedFeatures, recordWorkers } from "./page-features.js";
import { OWN_TASKS, ownModel } from "./own-model.js";
import { changeWorker, giveFiles, loaded, StaticPage, text, type Site } from "./static-page.js";
import { workerWithTwoCores } from "./two-cores.js";

const NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const LEARNED = 8;
const CHECKED = 8;
const EPOCHS = 3;

/** Learning may share two slow cores with other tests. */
const LEARNING_MS = 240_000;

const chromium = findChromium();
const site = new StaticPage();
let served: Site;
let digits: DigitImage[];

beforeAll(async () => {
  if (chromium === null) return;
  [digits] = await Promise.all([digitImages(LEARNED + CHECKED + 1, "page"), site.build()]);
  await site.start(chromium, WEBGPU_FLAGS);
  served = await site.serve();
}, LEARNING_MS);

afterAll(() => site.stop());

beforeEach(({ skip }) => {
  if (chromium === null) skip(`The page did not learn in headless Chromium: none was found. To run it, ${HOW_TO_GET_CHROMIUM}.`);
});

const imagesOf = (label: number, from: number, to: number): DigitImage[] => digits.filter((digit) => digit.label === label).slice(from, to);

/** Makes classes of digits and drops images into them. */
async function fillClasses(page: Page, names: readonly string[], learned: number, checked: number): Promise<void> {
  for (const [label, name] of names.entries()) {
    if (label > 1) await page.click("#add-class");
    const card = `.card:nth-child(${label + 1})`;
    await page.fill(`${card} .class-name`, name);
    await page.selectOption("#use-rule", "learning");
    await giveFiles(page, card, "drop", imagesOf(label, 0, learned));
    await text(page, `${card} .count`, new RegExp(`^${learned} images$`));
    await page.selectOption("#use-rule", "checking");
    await giveFiles(page, card, "drop", imagesOf(label, LEARNED, LEARNED + checked));
    await text(page, `${card} .count`, new RegExp(`${checked} of them checked`));
  }
}

async function saveComposition(page: Page): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  expect(download.suggestedFilename()).toBe("composition.safetensors");
  const file = join(site.folder, `composition-${Date.now()}.safetensors`);
  await download.saveAs(file);
  return file;
}

/** Drops an image that the page has not seen, and compares its features with those of the command line. */
async function compareFeatures(page: Page, file: string, model: string): Promise<void> {
  const fresh = imagesOf(3, LEARNED + CHECKED, LEARNED + CHECKED + 1)[0]!;
  await giveFiles(page, "#try", "drop", [fresh]);
  await text(page, "#prediction", /This looks like \w+\./);
  const error = relativeError(await predictedFeatures(page), await featuresByCli(file, fresh, model));
  expect(error).toBeLessThanOrEqual(tolerance("composition.features", undefined, "loose"));
}

const share = (cell: string): number => Number(cell.replace(" %", "")) / 100;

describe("the page in Chromium", () => {
  it("learns real digits that were dropped into classes: accuracy rises over zero-shot, and the CLI reads what it saves", async () => {
    const page = await (await site.profile()).newPage();
    const requests: string[] = [];
    page.context().on("request", (request) => requests.push(`${request.method()} ${new URL(request.url()).origin}`));
    await recordWorkers(page);
    await page.goto(served.url);
    await loaded(page);
    await fillClasses(page, NAMES, LEARNED, CHECKED);
    await page.uncheck('#vectors input[value="MNIST"]');
    await page.click("#settings summary");
    await page.fill("#epochs", String(EPOCHS));
    await page.fill("#batch-size", "16");
    await page.click("#learn");
    expect(await text(page, "#learn-status", /^Done/, LEARNING_MS)).toContain("below");

    const rows = await page.$$eval("#epochs-table tr", (all) => all.map((row) => [...row.children].map((cell) => cell.textContent!)));
    expect(rows.map(([epoch]) => epoch)).toEqual(["before", ...Array.from({ length: EPOCHS }, (_, at) => String(at + 1))]);
    const [zeroShot, last] = [rows[0]!, rows[EPOCHS]!];
    expect(Number(last[1])).toBeLessThan(Number(rows[1]![1]));
    expect(share(last[3]!)).toBeGreaterThan(share(zeroShot[3]!));
    expect(await page.textContent("#outcome")).toContain(`${NAMES.length * CHECKED} of the checked images`);
    expect(await page.getAttribute("#loss-curve svg", "aria-label")).toMatch(/^Loss after \d+ of \d+ steps: from/);

    const file = await saveComposition(page);
    const saved = await readComposition(file);
    expect(saved.taskVectors.map(({ name }) => name)).toEqual(await page.$$eval("#heat-map thead th:not(:first-child)", (cells) => cells.map((cell) => cell.textContent)));
    const shown = await page.$$eval("#heat-map td", (cells) => cells.map((cell) => Number(cell.textContent!.replace("−", "-"))));
    expect(shown).toHaveLength(saved.taskVectors.length * saved.blocks.length);
    expect(Math.max(...shown)).toBeCloseTo(Math.max(...saved.coefficients["coef"]!), 2);

    await compareFeatures(page, file, join(zooCheckpoints(), ZOO_MODEL));
    expect([...new Set(requests)]).toEqual([`GET ${new URL(served.url).origin}`]);
  }, LEARNING_MS);

  it("learns on WebGPU, emulated only when that is chosen, with a model of one's own that has no text encoder", async () => {
    const page = await (await site.profile()).newPage();
    await recordWorkers(page);
    await page.goto(served.url);
    await loaded(page);
    expect(await page.textContent("#device")).toMatch(/^Computes with WebAssembly, /);
    expect(await page.textContent("#remarks")).toContain("the processor would emulate it");
    await page.click("#settings summary");
    await page.selectOption("#wish", "webgpu");
    await text(page, "#device", /^Computes with WebGPU, /);

    const model = ownModel(join(site.folder, "own-clip"));
    await page.selectOption("#base", "folder");
    await page.setInputFiles("#model-folder", model);
    await text(page, "#model-facts", new RegExp(`^own-clip: .* ${OWN_TASKS.length} task vectors`));
    await fillClasses(page, NAMES.slice(0, 2), 2, 2);
    await page.fill("#epochs", "1");
    await page.fill("#batch-size", "2");
    await page.click("#learn");
    await text(page, "#learn-status", /^Done/, LEARNING_MS);
    expect(await page.textContent("#head-facts")).toContain("no text encoder");
    expect(await page.$$eval("#epochs-table th", (all) => all.map((cell) => cell.textContent))).toEqual(["before", "1"]);

    const file = await saveComposition(page);
    const saved = await readComposition(file);
    expect(saved.taskVectors.map(({ name }) => name)).toEqual(OWN_TASKS);
    expect(saved.coefficients["coef"]!.some((value) => value !== 0)).toBe(true);
    await compareFeatures(page, file, model);
  }, LEARNING_MS);

  it("computes on threads where there are processors for them", async () => {
    const page = await (await site.profile()).newPage();
    // tfjs takes a thread for two processors.
    await changeWorker(page, (code) => `Object.defineProperty(navigator, "hardwareConcurrency", { value: 4 });\n${code}`);
    await page.goto(served.url);
    await loaded(page);
    expect(await page.textContent("#device")).toBe("Computes with WebAssembly, 2 threads");
    await fillClasses(page, NAMES.slice(0, 2), 2, 1);
    await page.click("#settings summary");
    await page.fill("#epochs", "1");
    await page.fill("#batch-size", "2");
    await page.click("#learn");
    await text(page, "#learn-status", /^Done/, LEARNING_MS);
  }, LEARNING_MS);

  it("says that its bundle holds two copies of tfjs-core, and computes with what works all the same", async () => {
    const page = await (await site.profile()).newPage();
    const code = await workerWithTwoCores();
    await changeWorker(page, () => code);
    await page.goto(served.url);
    await loaded(page);
    await page.click("#settings summary");
    await page.selectOption("#wish", "webgpu");
    await text(page, "#device", /^Cannot compute here$/);
    expect(await page.textContent("#remarks")).toMatch(/two copies of @tensorflow\/tfjs-core[\s\S]*dedupe/);
    await page.selectOption("#wish", "automatic");
    await text(page, "#device", /^Computes with WebAssembly, /);
  }, LEARNING_MS);
});
