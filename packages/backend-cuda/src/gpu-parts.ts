import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { runCommand } from "./command.js";
import { cudaLibraries, RELEASE, type CudaVersions } from "./tensorflow-release.js";

export interface NvidiaGpu {
  readonly name: string;
  readonly driver: string;
}

/** Where WSL puts the driver's programs and libraries. */
const WSL_FOLDER = "/usr/lib/wsl/lib";

/** The GPUs that NVIDIA's driver shows; null without a driver. */
export async function nvidiaGpus(): Promise<readonly NvidiaGpu[] | null> {
  for (const program of ["nvidia-smi", join(WSL_FOLDER, "nvidia-smi")]) {
    const { status, stdout } = await runCommand(program, ["--query-gpu=name,driver_version", "--format=csv,noheader"]);
    if (status !== 0) continue;
    return stdout.split("\n").map((line) => line.split(",").map((part) => part.trim())).filter(([name]) => name !== "")
      .map(([name, driver]) => ({ name: name!, driver: driver ?? "unknown" }));
  }
  const version = /Kernel Module\s+(?:for \S+\s+)?([\d.]+)/.exec(readText("/proc/driver/nvidia/version"))?.[1];
  return version === undefined ? null : namesInProc().map((name) => ({ name, driver: version }));
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function namesInProc(): string[] {
  const folder = "/proc/driver/nvidia/gpus";
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((gpu) => /Model:\s*(.+)/.exec(readText(join(folder, gpu, "information")))?.[1] ?? "NVIDIA GPU");
}

/** Folders of `<runtime>/site/nvidia/<part>/lib`, as NVIDIA's wheels have them. */
function wheelFolders(runtime: string): string[] {
  const nvidia = join(runtime, "site", "nvidia");
  return existsSync(nvidia) ? readdirSync(nvidia).map((part) => join(nvidia, part, "lib")) : [];
}

/** Paths of shared libraries that the loader knows, from `ldconfig -p`. */
async function loaderCache(): Promise<readonly string[]> {
  for (const program of ["ldconfig", "/sbin/ldconfig"]) {
    const { status, stdout } = await runCommand(program, ["-p"]);
    if (status === 0) return [...stdout.matchAll(/=> (\S+)/g)].map(([, path]) => path!);
  }
  return [];
}

/**
 * Shared libraries by file name, where TensorFlow's loader would look: the wheels of a runtime, LD_LIBRARY_PATH, the
 * loader's cache.
 */
export async function visibleLibraries(runtime: string): Promise<ReadonlyMap<string, string>> {
  const search = (process.env["LD_LIBRARY_PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const folders = [...wheelFolders(runtime), ...search].filter(existsSync);
  const paths = [...folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name))), ...(await loaderCache())];
  const byName = new Map<string, string>();
  for (const path of paths) if (!byName.has(basename(path))) byName.set(basename(path), path);
  return byName;
}

/** The version in a library's real file name: libcudart.so.12 → libcudart.so.12.2.140. */
function realName(path: string): string {
  try {
    return basename(realpathSync(path));
  } catch {
    return basename(path);
  }
}

/** Libraries that are wanted and not visible, each with what is there of it in other versions. */
export function missingLibraries(wanted: CudaVersions, visible: ReadonlyMap<string, string>): { readonly soname: string; readonly found: readonly string[] }[] {
  return cudaLibraries(wanted).filter((soname) => !visible.has(soname)).map((soname) => {
    const stem = soname.slice(0, soname.indexOf(".so"));
    const others = [...visible].filter(([name]) => name.startsWith(`${stem}.so`)).map(([, path]) => realName(path));
    return { soname, found: [...new Set(others)].sort() };
  });
}

/** Whether a dotted version is older than another. */
export function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number)) as [number[], number[]];
  const at = b.findIndex((part, i) => (a[i] ?? 0) !== part);
  return at !== -1 && (a[at] ?? 0) < b[at]!;
}

const HOW_TO_GET_LIBRARIES =
  "`npx atlas cuda-setup` fetches NVIDIA's libraries with TensorFlow; or install that version and name its folder in LD_LIBRARY_PATH";

/** What is wrong with the GPU and its driver; null when TensorFlow may use one. */
async function missingGpu({ cuda }: CudaVersions): Promise<string | null> {
  const gpus = await nvidiaGpus();
  if (gpus === null) return `a GPU: no NVIDIA driver was found (wanted at least ${RELEASE.driver}, with nvidia-smi in PATH or /proc/driver/nvidia)`;
  const [first] = gpus;
  if (first === undefined) return "a GPU: NVIDIA's driver is there, and shows none";
  const hidden = process.env["CUDA_VISIBLE_DEVICES"];
  if (hidden === "" || hidden === "-1") return `a GPU: CUDA_VISIBLE_DEVICES is "${hidden}", which hides ${first.name}`;
  if (!cuda.startsWith("12.") || !isOlder(first.driver, RELEASE.driver)) return null;
  return `NVIDIA's driver: wanted at least ${RELEASE.driver} for CUDA ${cuda}, found ${first.driver}`;
}

/** What a machine lacks of a GPU, its driver, CUDA and cuDNN, in sentences; `wanted` is what TensorFlow is built with. */
export async function missingGpuParts(wanted: CudaVersions, runtime: string): Promise<string[]> {
  const gpu = await missingGpu(wanted);
  const libraries = missingLibraries(wanted, await visibleLibraries(runtime));
  const parts = [["CUDA", wanted.cuda, /^libcu(?!dnn)/], ["cuDNN", wanted.cudnn, /^libcudnn/]] as const;
  const absent = parts.flatMap(([what, version, pattern]) => {
    const own = libraries.filter(({ soname }) => pattern.test(soname));
    if (own.length === 0) return [];
    const found = own.flatMap((library) => library.found);
    const sonames = own.map(({ soname }) => soname).join(", ");
    return [`${what} ${version}: wanted ${sonames}, found ${found.length === 0 ? "none" : found.join(", ")}; ${HOW_TO_GET_LIBRARIES}`];
  });
  return [...(gpu === null ? [] : [gpu]), ...absent];
}
