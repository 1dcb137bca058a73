import { join } from "node:path";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findChromium, HOW_TO_GET_CHROMIUM } from "../../../scripts/browser.mjs";
import { digitImages, type DigitImage } from "./digit-images.js";
import { giveFiles, loaded, StaticPage, text, type Site } from "./static-page.js";

/** Learning may share two slow cores with other tests. */
const LEARNING_MS = 240_000;

/** A name that is not localhost, so that its pages are not secure without encryption. */
const ELSEWHERE = "page.test";

const chromium = findChromium();
const site = new StaticPage();
let served: Site;
let digits: DigitImage[];

beforeAll(async () => {
  [digits] = await Promise.all([digitImages(1, "page"), site.build()]);
  if (chromium === null) return;
  await site.start(chromium, [`--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`]);
  served = await site.serve();
}, LEARNING_MS);

afterAll(() => site.stop());

async function opened(url = served.url): Promise<Page> {
  const page = await (await site.profile()).newPage();
  await page.goto(url);
  await loaded(page);
  return page;
}

describe("the page in Chromium", () => {
  beforeEach(({ skip }) => {
    if (chromium === null) skip(`The page was not tried in headless Chromium: none was found. To run it, ${HOW_TO_GET_CHROMIUM}.`);
  });

  it("refuses a file that is no image in a sentence, and takes the images beside it", async () => {
    const page = await opened();
    const bytes = new TextEncoder().encode("%PDF-1.7 not an image");
    await giveFiles(page, ".card", "drop", [{ name: "page.pdf", type: "application/pdf", bytes }, digits[0]!]);
    const failure = await text(page, "#image-failure", /page\.pdf/);
    expect(failure).toContain("got: a file that starts with \"%PDF-1.7");
    expect(failure).toContain("expected: an image");
    expect(await page.textContent(".card .count")).toBe("1 image");
    expect(await page.getAttribute("#image-failure", "role")).toBe("alert");
  });

  it("takes a pasted image into the class that was used last, and pictures of the camera", async () => {
    const page = await opened();
    await page.focus(".card:nth-child(2) .class-name");
    await giveFiles(page, ".card:nth-child(2) .class-name", "paste", [digits[7]!]);
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
      // Tab through the page as somebody does who has no mouse.
      for (let presses = 0; presses < 50 && (await page.evaluate(() => document.activeElement?.id)) !== id; presses++) await page.keyboard.press("Tab");
      expect(await page.evaluate(() => document.activeElement?.id)).toBe(id);
      await page.keyboard.press("Enter");
    };
    await press("samples");
    await page.waitForFunction(() => document.querySelectorAll(".card").length === 10 && !(document.getElementById("learn") as HTMLButtonElement).disabled);
    expect(await page.isChecked('#vectors input[value="MNIST"]')).toBe(false);
    await press("past-classes");
    await press("learn");
    await page.waitForFunction(() => document.activeElement?.id === "stop");
    await page.waitForFunction(() => document.querySelectorAll("#epochs-table tr").length > 0, null, { timeout: LEARNING_MS });
    await page.keyboard.press("Enter");
    expect(await text(page, "#learn-status", /^Stopped:/, LEARNING_MS)).toContain("The result is below.");
    expect(await page.textContent("#outcome")).toMatch(/Stopped after epoch \d of 6/);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("learn");
  }, LEARNING_MS);

  it("breaks no rule of axe on accessibility in light and dark colours: before learning, with settings and classes, and with a result", async () => {
    const page = await opened();
    await page.addScriptTag({ content: axe.source });
    const faultsIn = async (colorScheme: "light" | "dark"): Promise<string[]> => {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      return page.evaluate(async (colours) => {
        const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run();
        return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${colours}, ${id}: ${html}\n${failureSummary}`));
      }, colorScheme);
    };
    const faults = async (): Promise<string[]> => [...(await faultsIn("light")), ...(await faultsIn("dark"))];
    expect(await faults()).toEqual([]);
    await page.click("#samples");
    await page.click("#settings summary");
    await page.waitForFunction(() => document.querySelectorAll(".card").length === 10);
    expect(await faults()).toEqual([]);
    await page.click("#no-vectors");
    await page.check('#vectors input[value="Greek"]');
    await page.fill("#epochs", "1");
    await page.fill("#batch-size", "2");
    await page.click("#learn");
    await text(page, "#learn-status", /^Done/, LEARNING_MS);
    await page.click("#numbers summary");
    await giveFiles(page, "#try", "drop", [digits[0]!]);
    await text(page, "#prediction", /This looks like/);
    expect(await faults()).toEqual([]);
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
    await page.click("#settings summary");
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

  it("says in one place that nothing works on an insecure page", async () => {
    const page = await (await site.profile()).newPage();
    await page.goto(served.url.replace("localhost", ELSEWHERE));
    expect(await text(page, "#model-failure", /https/)).toContain("Serve it over https, or open it on localhost.");
    expect(await page.isDisabled("#learn")).toBe(true);
    expect(await page.textContent("#device")).toBe("Cannot compute here");
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
    await text(page, "#learn-status", /^Stopped:/, LEARNING_MS);
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
