import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { findChromium, isDebian } from "./browser.mjs";
import { runTool, say, SetupError } from "./toolchain.mjs";

/** The file that tells the Vulkan loader where SwiftShader is, which computes on the processor. */
const SWIFTSHADER = "vk_swiftshader_icd.json";

const BROWSER_FOLDERS = ["/usr/lib/chromium", "/usr/lib/chromium-browser", "/opt/google/chrome"];

/** Where drivers of graphics cards are told of. */
const DRIVER_FOLDERS = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

const LIBRARY_FOLDERS = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

/** What to do where WebGPU finds nothing to compute on. */
export const HOW_TO_GET_WEBGPU = "run `npm run setup:webgpu`, or set VK_ICD_FILENAMES to the path of a Vulkan driver's JSON file";

/** Mesa's package tells of drivers, and of one for the processor that Dawn does not take, on machines without any card. */
function hasGraphicsCard() {
  const render = existsSync("/dev/dri") && readdirSync("/dev/dri").some((name) => name.startsWith("renderD"));
  return render || existsSync("/dev/nvidia0") || existsSync("/dev/dxg");
}

/** Whether WebGPU in Node needs no SwiftShader: another system than Linux, or a graphics card and its driver. */
export function hasGraphicsDriver() {
  if (process.platform !== "linux" || process.env.VK_ICD_FILENAMES || process.env.VK_DRIVER_FILES) return true;
  return hasGraphicsCard() && DRIVER_FOLDERS.some((folder) => existsSync(folder) && readdirSync(folder).some((name) => name.endsWith(".json")));
}

/** @returns the path of SwiftShader's JSON file, which browsers bring along, or null. */
export function findSwiftShader() {
  const browser = findChromium();
  const folders = browser === null ? BROWSER_FOLDERS : [dirname(realpathSync(browser)), ...BROWSER_FOLDERS];
  return folders.map((folder) => join(folder, SWIFTSHADER)).find((path) => existsSync(path)) ?? null;
}

function hasVulkanLoader() {
  return LIBRARY_FOLDERS.some((folder) => existsSync(join(folder, "libvulkan.so.1")));
}

/** Whether WebGPU in Node has something to compute on. */
export function hasWebGpu() {
  return process.platform !== "linux" || (hasVulkanLoader() && (hasGraphicsDriver() || findSwiftShader() !== null));
}

/** Finds something that WebGPU in Node can compute on, or installs Debian's SwiftShader and Vulkan loader. */
export async function setUpWebGpu() {
  if (!hasWebGpu() && isDebian() && process.getuid?.() === 0) {
    const packages = ["libvulkan1", ...(hasGraphicsDriver() || findSwiftShader() !== null ? [] : ["chromium"])];
    say(`Installing Debian's ${packages.join(" and ")} …`);
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    await runTool("apt-get", ["update", "-q"], { env });
    await runTool("apt-get", ["install", "-y", "-q", "--no-install-recommends", ...packages], { env });
  }
  if (!hasWebGpu()) {
    throw new SetupError(
      "WebGPU in Node has nothing to compute on here: it needs the Vulkan loader (libvulkan.so.1), and a driver or SwiftShader, which Chromium brings along.\n" +
      "  next: install libvulkan1 and chromium with your system's package manager; this script can do so only as root on Debian or Ubuntu.\n" +
      "  Everything but the WebGPU tests in Node runs without it.",
    );
  }
  say(hasGraphicsDriver() ? "WebGPU: a graphics driver is there." : `WebGPU: VK_ICD_FILENAMES=${findSwiftShader()}`);
}
