import { join } from "node:path";
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { loadBase, openCheckpoint, readComposition } from "@atlas-tv/checkpoints";
import { runAtlas } from "@atlas-tv/cli";
import { parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { encode, HALF_NORMALISATION, imageInputs, isotropic, Random, validationTransform } from "@atlas-tv/core";
import { decodePng } from "@atlas-tv/datasets";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { relativeError, tolerance } from "../../../packages/core/test/fixture-files.js";
import { findChromium, HOW_TO_GET_CHROMIUM } from "../../../scripts/browser.mjs";
import { digitImages, type DigitImage } from "./digit-images.js";
import { giveFiles, loaded, StaticPage, text, type Site } from "./static-page.js";

const NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const LEARNED = 8;
const CHECKED = 20;
const EPOCHS = 4;

/** Learning may share two slow cores with other tests. */
const LEARNING_MS = 240_000;

const chromium = findChromium();
const site = new StaticPage();
let served: Site;
let digits: DigitImage[];

beforeAll(async () => {
  [digits] = await Promise.all([digitImages(LEARNED + CHECKED + 1, "page"), site.build()]);
  if (chromium === null) return;
  await site.start(chromium);
  served = await site.serve();
}, LEARNING_MS);

afterAll(() => site.stop());

async function opened(url = served.url, page?: Page): Promise<Page> {
  const own = page ?? (await (await site.profile()).newPage());
  await own.goto(url);
  await loaded(own);
  return own;
}

const imagesOf = (label: number, from: number, to: number): DigitImage[] => digits.filter((digit) => digit.label === label).slice(from, to);

/** Messages of the worker, as the page receives them. */
async function recordWorkers(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const messages: unknown[] = [];
    const Original = Worker;
    Object.assign(globalThis, {
      workerMessages: messages,
      Worker: class extends Original {
        constructor(url: string | URL, options?: WorkerOptions) {
          super(url, options);
          this.addEventListener("message", ({ data }) => messages.push(data));
        }
      },
    });
  });
}

/** The features that came with the last prediction. */
async function predictedFeatures(page: Page): Promise<Float32Array> {
  const values = await page.evaluate(() => {
    const { workerMessages } = globalThis as unknown as { workerMessages: { value?: { features?: Float32Array } }[] };
    return [...workerMessages.flatMap(({ value }) => (value?.features instanceof Float32Array ? [value.features] : [])).at(-1)!];
  });
  return Float32Array.from(values);
}

/** Features of an image under the composition in `file`, by way of `atlas merge` and the CPU backend. */
async function featuresByCli(file: string, image: DigitImage): Promise<Float32Array> {
  const merged = join(site.folder, "merged.safetensors");
  const errors: string[] = [];
  const status = await runAtlas(["merge", "--composition", file, "--out", merged], { out: () => undefined, note: (line) => errors.push(line), signal: new AbortController().signal });
  expect(status, errors.join("\n")).toBe(0);
  const { model } = await readComposition(file);
  const spec = visionSpec(parseClipConfig(model));
  await using checkpoint = await openCheckpoint(merged);
  const backend = new CpuBackend();
  await backend.activate();
  const encoder = await backend.compile(spec, await loadBase(spec, checkpoint.tensors, merged), [], isotropic());
  const composed = await encoder.compose(encoder.initialCoefficients());
  const pixels = validationTransform(spec.imageSize, HALF_NORMALISATION).pixels(decodePng(image.bytes), new Random(0));
  const features = await encode(composed, imageInputs([pixels], HALF_NORMALISATION));
  const values = Float32Array.from(await features.data<"float32">());
  features.dispose();
  composed.dispose();
  encoder.dispose();
  return values;
}

const share = (cell: string): number => Number(cell.replace(" %", "")) / 100;

describe("the page in Chromium", () => {
  beforeEach(({ skip }) => {
    if (chromium === null) skip(`The page was not tried in headless Chromium: none was found. To run it, ${HOW_TO_GET_CHROMIUM}.`);
  });

  it("learns real digits that were dropped into classes: accuracy rises over zero-shot, and the CLI reads what it saves", async () => {
    const page = await (await site.profile()).newPage();
    const requests: string[] = [];
    page.context().on("request", (request) => requests.push(`${request.method()} ${new URL(request.url()).origin}`));
    await recordWorkers(page);
    await opened(served.url, page);
    for (const [label, name] of NAMES.entries()) {
      if (label > 1) await page.click("#add-class");
      const card = `.card:nth-child(${label + 1})`;
      await page.fill(`${card} .class-name`, name);
      await page.selectOption("#use-rule", "learning");
      await giveFiles(page, card, "drop", imagesOf(label, 0, LEARNED));
      await text(page, `${card} .count`, new RegExp(`^${LEARNED} images$`));
      await page.selectOption("#use-rule", "checking");
      await giveFiles(page, card, "drop", imagesOf(label, LEARNED, LEARNED + CHECKED));
      await text(page, `${card} .count`, new RegExp(`${CHECKED} of them checked`));
    }
    await page.uncheck('#vectors input[value="MNIST"]');
    await page.click("section details summary");
    await page.fill("#epochs", String(EPOCHS));
    await page.click("#learn");
    expect(await text(page, "#learn-status", /^Done/, LEARNING_MS)).toContain("below");

    const rows = await page.$$eval("#epochs-table tr", (all) => all.map((row) => [...row.children].map((cell) => cell.textContent!)));
    expect(rows.map(([epoch]) => epoch)).toEqual(["before", ...Array.from({ length: EPOCHS }, (_, at) => String(at + 1))]);
    const [zeroShot, last] = [rows[0]!, rows[EPOCHS]!];
    console.log(rows.join(" | "));
    expect(Number(last[1])).toBeLessThan(Number(rows[1]![1]));
    expect(share(last[3]!)).toBeGreaterThan(share(zeroShot[3]!));
    expect(await page.textContent("#outcome")).toContain(`${NAMES.length * CHECKED} of the checked images`);
    expect(await page.getAttribute("#loss-curve svg", "aria-label")).toMatch(/^Loss after \d+ of \d+ steps: from/);

    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
    expect(download.suggestedFilename()).toBe("composition.safetensors");
    const file = join(site.folder, "composition.safetensors");
    await download.saveAs(file);
    const saved = await readComposition(file);
    expect(saved.taskVectors.map(({ name }) => name)).toEqual(await page.$$eval("#heat-map thead th:not(:first-child)", (cells) => cells.map((cell) => cell.textContent)));
    const shown = await page.$$eval("#heat-map td", (cells) => cells.map((cell) => Number(cell.textContent!.replace("−", "-"))));
    expect(shown).toHaveLength(saved.taskVectors.length * saved.blocks.length);
    expect(Math.max(...shown)).toBeCloseTo(Math.max(...saved.coefficients["coef"]!), 2);

    const fresh = imagesOf(3, LEARNED + CHECKED, LEARNED + CHECKED + 1)[0]!;
    await giveFiles(page, "#try", "drop", [fresh]);
    await text(page, "#prediction .best", /This looks like \w+\./);
    const error = relativeError(await predictedFeatures(page), await featuresByCli(file, fresh));
    expect(error).toBeLessThanOrEqual(tolerance("composition.features", undefined, "loose"));

    expect([...new Set(requests)]).toEqual([`GET ${new URL(served.url).origin}`]);
  }, LEARNING_MS);

  it("refuses a file that is no image in a sentence, and takes the images beside it", async () => {
    const page = await opened();
    const bytes = new TextEncoder().encode("%PDF-1.7 not an image");
    await giveFiles(page, ".card", "drop", [{ name: "page.pdf", type: "application/pdf", bytes }, imagesOf(0, 0, 1)[0]!]);
    const failure = await text(page, "#image-failure", /page\.pdf/);
    expect(failure).toContain("got: a file that starts with \"%PDF-1.7");
    expect(failure).toContain("expected: an image");
    expect(await page.textContent(".card .count")).toBe("1 image");
    expect(await page.getAttribute("#image-failure", "role")).toBe("alert");
  });

  it("takes a pasted image into the class that was used last, and pictures of the camera", async () => {
    const page = await opened();
    await page.focus(".card:nth-child(2) .class-name");
    await giveFiles(page, ".card:nth-child(2) .class-name", "paste", imagesOf(7, 0, 1));
    await text(page, ".card:nth-child(2) .count", /^1 image$/);
    await page.click(".card:nth-child(1) .shoot");
    await page.waitForFunction(() => document.querySelector("video")!.videoWidth > 0);
    await page.click("#shoot");
    await text(page, "#camera-status", /^1 picture taken$/);
    await page.click("#close-camera");
    await text(page, ".card:nth-child(1) .count", /^1 image$/);
    expect(await page.evaluate(() => document.querySelector("video")!.srcObject)).toBeNull();
  });

  it("can be used with the keyboard alone: sample digits, learning, stopping", async () => {
    const page = await opened();
    const press = async (id: string): Promise<void> => {
      // Tab through the page as somebody does who has no mouse; a round ends at the document itself.
      for (let presses = 0; presses < 200 && (await page.evaluate(() => document.activeElement?.id)) !== id; presses++) await page.keyboard.press("Tab");
      expect(await page.evaluate(() => document.activeElement?.id)).toBe(id);
      await page.keyboard.press("Enter");
    };
    await press("samples");
    await page.waitForFunction(() => document.querySelectorAll(".card").length === 10 && !(document.getElementById("learn") as HTMLButtonElement).disabled);
    expect(await page.isChecked('#vectors input[value="MNIST"]')).toBe(false);
    await press("learn");
    await page.waitForFunction(() => document.activeElement?.id === "stop");
    await page.waitForFunction(() => document.querySelectorAll("#epochs-table tr").length > 0, null, { timeout: LEARNING_MS });
    await page.keyboard.press("Enter");
    expect(await text(page, "#learn-status", /^Stopped/, LEARNING_MS)).toContain("What was learned so far");
    expect(await page.textContent("#outcome")).toMatch(/Stopped after epoch \d of 6/);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("learn");
  }, LEARNING_MS);

  it("names every control, and says in place what is missing before learning", async () => {
    const page = await opened();
    const nameless = await page.$$eval("button, input, select, textarea", (all) => all
      .filter((control) => control.getClientRects().length > 0)
      .filter((control) => {
        const labels = (control as HTMLInputElement).labels;
        const own = control instanceof HTMLButtonElement ? control.textContent!.trim() : "";
        return own === "" && (control.getAttribute("aria-label") ?? "") === "" && (labels === null || labels.length === 0);
      })
      .map((control) => control.outerHTML));
    expect(nameless).toEqual([]);
    expect(await page.textContent("#todo")).toContain("Give every class a name.");
    expect(await page.isDisabled("#learn")).toBe(true);
    expect(await page.getAttribute("#learn", "aria-describedby")).toBe("todo");
  });

  it("says why WebGPU is not used where the browser finds no adapter", async () => {
    const page = await opened();
    expect(await page.textContent("#device")).toMatch(/^Computes with WebAssembly, /);
    expect(await page.textContent("#remarks")).toContain("WebGPU is not used. It lacks a graphics adapter");
    await page.click("section details summary");
    await page.selectOption("#wish", "webgpu");
    expect(await text(page, "#device", /Cannot compute/)).toBe("Cannot compute here");
    expect(await page.textContent("#remarks")).toContain("choose another under Settings");
    await page.selectOption("#wish", "wasm");
    await text(page, "#device", /^Computes with WebAssembly/);
  });

  it("on a host without isolation headers says so, and is isolated after a reload through its service worker", async () => {
    const plain = await site.serve(false);
    const page = await opened(plain.url);
    expect(await page.evaluate(() => globalThis.crossOriginIsolated)).toBe(false);
    expect(await page.textContent("#remarks")).toContain("not cross-origin isolated");
    await text(page, "#offline", /^Works offline$/);
    await page.reload();
    await loaded(page);
    expect(await page.evaluate(() => globalThis.crossOriginIsolated)).toBe(true);
    expect(await page.textContent("#remarks")).not.toContain("not cross-origin isolated");
  });

  it("works offline once loaded, the model and the samples included", async () => {
    const own = await site.serve();
    const page = await opened(own.url);
    await text(page, "#offline", /^Works offline$/);
    await own.close();
    await page.reload();
    await loaded(page);
    await page.click("#samples");
    await page.waitForFunction(() => !(document.getElementById("learn") as HTMLButtonElement).disabled);
    await page.click("#no-vectors");
    await page.check('#vectors input[value="Greek"]');
    await page.click("#learn");
    await text(page, "#learn-status", /^(Before learning|Epoch)/, LEARNING_MS);
    await page.click("#stop");
    await text(page, "#learn-status", /^Stopped/, LEARNING_MS);
  }, LEARNING_MS);

  it("opens a model of one's own from an address, and refuses what is none in a sentence", async () => {
    const page = await opened();
    await page.selectOption("#base", "url");
    await page.fill("#model-url", `${served.url}models/mini-clip`);
    await page.press("#model-url", "Enter");
    await text(page, "#model-facts", /^mini-clip: images of 32/);
    expect(await page.locator("#vectors input").count()).toBe(8);
    await page.fill("#model-url", `${served.url}samples`);
    await page.click("#url-choice button");
    const failure = await text(page, "#model-failure", /manifest\.json/);
    expect(failure).toContain("got: HTTP status 404");
    expect(await page.textContent("#model-facts")).toBe("No model is loaded.");
  });

  it("opens a model of one's own from a folder", async () => {
    const page = await opened();
    await page.selectOption("#base", "folder");
    await page.setInputFiles("#model-folder", join(site.folder, "site", "models", "mini-clip"));
    await text(page, "#model-facts", /^mini-clip: images of 32/);
    await page.setInputFiles("#model-folder", join(site.folder, "site", "samples"));
    expect(await text(page, "#model-failure", /open_clip_config/)).toContain("got: no open_clip_config.json");
  });
});

describe("the site", () => {
  it("holds one copy of tfjs-core and no Node built-in", () => {
    const cores = new Set(site.bundled.flatMap((path) => /^.*\/tfjs-core(?=\/dist\/)/.exec(path)?.[0] ?? []));
    expect([...cores]).toHaveLength(1);
    expect(site.bundled.filter((path) => path.endsWith("/dist/node.js"))).toEqual([]);
  });
});
