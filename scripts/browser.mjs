import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { runTool, say, SetupError } from "./toolchain.mjs";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"];

const APPLICATIONS = [
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
  "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
];

/** Where the browsers that Playwright downloads lie, by platform. */
const PLAYWRIGHT_FOLDERS = { linux: ".cache/ms-playwright", darwin: "Library/Caches/ms-playwright", win32: "AppData/Local/ms-playwright" };

const PLAYWRIGHT_PROGRAMS = ["chrome-linux/chrome", "chrome-linux64/chrome", "chrome-mac/Chromium.app/Contents/MacOS/Chromium", "chrome-win/chrome.exe"];

/** What to do where there is no Chromium. */
export const HOW_TO_GET_CHROMIUM = "run `npm run setup:browser`, or set CHROMIUM to the path of a Chromium or Chrome";

/** Started with these, Chromium needs neither a display, nor a user's profile, nor a network. */
export const CHROMIUM_FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
];

/** Beside them, for WebGPU; without a graphics card, SwiftShader computes on the processor. */
export const WEBGPU_FLAGS = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

function* candidates() {
  if (process.env.CHROMIUM) yield process.env.CHROMIUM;
  for (const name of NAMES) {
    for (const folder of ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)]) if (folder !== "") yield join(folder, name);
  }
  yield* APPLICATIONS;
  const downloads = process.env.PLAYWRIGHT_BROWSERS_PATH ?? join(homedir(), PLAYWRIGHT_FOLDERS[process.platform] ?? PLAYWRIGHT_FOLDERS.linux);
  if (!existsSync(downloads)) return;
  for (const version of readdirSync(downloads).filter((name) => name.startsWith("chromium-")).sort().reverse()) {
    for (const program of PLAYWRIGHT_PROGRAMS) yield join(downloads, version, program);
  }
}

/** @returns the path of a Chromium, or null. */
export function findChromium() {
  for (const path of candidates()) if (existsSync(path)) return path;
  return null;
}

export function isDebian() {
  return existsSync("/etc/os-release") && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync("/etc/os-release", "utf8"));
}

/** Finds a Chromium, or installs the system's own where that is possible. */
export async function setUpBrowser() {
  if (process.env.CHROMIUM && !existsSync(process.env.CHROMIUM)) {
    throw new SetupError(`CHROMIUM\n  got: ${process.env.CHROMIUM}, which does not exist\n  expected: the path of a Chromium or Chrome`);
  }
  if (findChromium() === null && isDebian() && process.getuid?.() === 0) {
    say("Installing Debian's chromium …");
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    await runTool("apt-get", ["update", "-q"], { env });
    await runTool("apt-get", ["install", "-y", "-q", "--no-install-recommends", "chromium"], { env });
  }
  const found = findChromium();
  if (found === null) {
    throw new SetupError(
      "No Chromium was found, and this script can install one only as root on Debian or Ubuntu.\n" +
      "  next: install Chromium or Chrome with your system's package manager, or set CHROMIUM to the path of one.\n" +
      "  Everything but the browser test runs without it.",
    );
  }
  say(`Chromium: ${found}`);
}
