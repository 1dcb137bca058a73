import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { CHROMIUM_FLAGS } from "../../../scripts/browser.mjs";
import { serve } from "../build/server.mjs";
import { buildSite } from "../build/site.mjs";

/** A camera that shows a test picture, and leave to use it. */
const FAKE_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

/** Enough for a busy machine to load the page and its model. */
const LOADING_MS = 60_000;

export interface Site {
  readonly url: string;
  close(): Promise<void>;
}

/** The site, built once and served from a folder of its own, and a browser to look at it. */
export class StaticPage {
  readonly folder = mkdtempSync(join(tmpdir(), "atlas-page-"));
  /** Paths of the files that went into the bundles. */
  bundled: readonly string[] = [];
  #browser: Browser | null = null;
  readonly #closers: (() => Promise<void>)[] = [];

  async build(): Promise<void> {
    this.bundled = Object.keys((await buildSite(join(this.folder, "site")))!.inputs);
  }

  /** @param flags beside those that every test needs. */
  async start(executablePath: string, flags: readonly string[] = []): Promise<void> {
    this.#browser = await chromium.launch({ executablePath, args: [...CHROMIUM_FLAGS, ...FAKE_CAMERA, ...flags] });
  }

  /** @param isolated whether the server sends the headers that isolate the page. */
  async serve(isolated = true): Promise<Site> {
    const { server, url } = await serve(join(this.folder, "site"), { isolated });
    const close = (): Promise<void> => new Promise((resolve) => {
      server.close(() => { resolve(); });
      server.closeAllConnections();
    });
    this.#closers.push(close);
    return { url, close };
  }

  /** A profile of its own: nothing of other pages is kept in it. */
  async profile(): Promise<BrowserContext> {
    const context = await this.#browser!.newContext({ acceptDownloads: true, permissions: ["camera"] });
    this.#closers.push(() => context.close());
    return context;
  }

  async stop(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
    await this.#browser?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits until the page has a model and something to compute with. */
export async function loaded(page: Page): Promise<void> {
  await page.waitForFunction(() => {
    return /^Computes/.test(document.getElementById("device")!.textContent!) && document.querySelectorAll("#vectors input").length > 0;
  }, null, { timeout: LOADING_MS });
}

/** Waits until an element's text matches, and gives the text. */
export async function text(page: Page, selector: string, pattern: RegExp, timeout = LOADING_MS): Promise<string> {
  await page.waitForFunction(
    ([at, source]) => new RegExp(source!).test(document.querySelector(at!)?.textContent ?? ""),
    [selector, pattern.source],
    { timeout },
  );
  return (await page.textContent(selector))!;
}

/** Serves a page its worker changed; before the page is opened. */
export async function changeWorker(page: Page, change: (code: string) => string): Promise<void> {
  await page.route("**/worker.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: change(await response.text()) });
  });
}

export interface TestImage {
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** Fires an event that carries files, as a person's drop or paste does. */
export async function giveFiles(page: Page, selector: string, event: "drop" | "paste", images: readonly TestImage[]): Promise<void> {
  const files = images.map(({ name, type, bytes }) => ({ name, type, base64: Buffer.from(bytes).toString("base64") }));
  await page.evaluate(({ at, kind, given }) => {
    const transfer = new DataTransfer();
    for (const { name, type, base64 } of given) {
      transfer.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name, { type }));
    }
    const options = { bubbles: true, cancelable: true };
    const target = document.querySelector(at)!;
    target.dispatchEvent(kind === "drop" ? new DragEvent("drop", { ...options, dataTransfer: transfer }) : new ClipboardEvent("paste", { ...options, clipboardData: transfer }));
  }, { at: selector, kind: event, given: files });
}
