import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { AbortedError, InputError } from "@atlas-tv/core";
import { buildAddon, checkAddon, findCompiler, nodeHeaders } from "./addon-build.js";
import { missingLibraries, visibleLibraries } from "./gpu-parts.js";
import { addonPackage, readRuntime, RUNTIME_FILE, runtimeFolder, type BuiltKind, type Runtime, type RuntimeFacts } from "./runtime-folder.js";
import { ADDON_PACKAGE, RELEASE, type CudaVersions, type RuntimeKind } from "./tensorflow-release.js";
import { downloadWheel, replaceFolder, unpackWheel, wheelIn } from "./wheel.js";

export interface RuntimeSetUpOptions {
  /** TensorFlow for "cuda", or for the "cpu" alone. Default "cuda". */
  readonly kind?: RuntimeKind;
  /** A TensorFlow that is there: a folder of the C library (`lib`, `include`), or `tensorflow` in Python's site-packages. */
  readonly tensorflow?: string;
  /** A wheel that was downloaded before. */
  readonly wheel?: string;
  /** A folder of Node with `include/node`; default the package node-api-headers. */
  readonly nodeFolder?: string;
  /** Folder of runtimes; default `runtimeFolder()`. */
  readonly folder?: string;
  /** Build anew what is there. */
  readonly force?: boolean;
  readonly onProgress?: (text: string) => void;
  /** Told every line that pip and the compiler print. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** TensorFlow's files on disk; paths absolute. */
interface TensorFlowFiles {
  readonly headers: string;
  readonly libraries: readonly string[];
  readonly cuda?: CudaVersions | null;
}

const CC_LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];
const C_LIBRARIES = ["libtensorflow.so.2", "libtensorflow_framework.so.2"];

/** Of TensorFlow's wheel: the libraries, the C headers with what they include, and the facts of its build. */
const TENSORFLOW_FILES =
  /^tensorflow\/(libtensorflow_(cc|framework)\.so\.2|include\/(tensorflow\/(c|core\/platform)|tsl)\/.*\.h|python\/platform\/build_info\.py)$|\.dist-info\/METADATA$/;

const NVIDIA_FILES = /^nvidia\/[^/]+\/lib\/[^/]+\.so[^/]*$/;

/** What `tensorflow[and-cuda]` requires and one GPU does not need: the compiler of XLA, and talk between GPUs. */
const UNUSED_CUDA_PROJECTS = /^nvidia-(cuda-nvcc|nccl)-/;

/** What CUDA's wheels take on disk while they are unpacked. */
const CUDA_LIBRARY_BYTES = 4_500_000_000;

/** What a build of TensorFlow says it was made for; undefined where it does not say. */
function buildInfo(tensorflow: string): CudaVersions | null | undefined {
  const path = join(tensorflow, "python", "platform", "build_info.py");
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, "utf8");
  const value = (name: string): string | undefined => new RegExp(`'${name}', '([^']*)'`).exec(text)?.[1];
  const [cuda, cudnn] = [value("cuda_version"), value("cudnn_version")];
  return cuda === undefined || cudnn === undefined ? null : { cuda, cudnn };
}

/** The files of a TensorFlow that is there already. @throws InputError */
export function existingTensorFlow(folder: string): TensorFlowFiles {
  const root = resolve(folder);
  for (const names of [CC_LIBRARIES, C_LIBRARIES]) {
    for (const place of [root, join(root, "lib")]) {
      const libraries = names.map((name) => join(place, name));
      if (!libraries.every(existsSync)) continue;
      const headers = join(root, "include");
      if (!existsSync(join(headers, "tensorflow", "c", "eager", "c_api.h"))) {
        throw new InputError({ where: "--tensorflow", got: `no tensorflow/c/eager/c_api.h in ${headers}`, expected: "TensorFlow's C headers beside its libraries" });
      }
      const cuda = buildInfo(root);
      return { headers, libraries, ...(cuda === undefined ? {} : { cuda }) };
    }
  }
  throw new InputError({
    where: "--tensorflow",
    got: `neither ${CC_LIBRARIES.join(" and ")} nor ${C_LIBRARIES.join(" and ")} in ${root} or its lib`,
    expected: "a folder of TensorFlow's C library (lib, include), or the folder tensorflow in Python's site-packages",
  });
}

function requireSpace(folder: string, bytes: number): void {
  mkdirSync(folder, { recursive: true });
  const { bavail, bsize } = statfsSync(folder);
  const gb = (count: number): string => `${(count / 1e9).toFixed(1)} GB`;
  if (bavail * bsize >= bytes) return;
  throw new InputError({
    where: folder,
    got: `${gb(bavail * bsize)} free`,
    expected: `${gb(bytes)} for the download and what is unpacked`,
    next: "free some space, or name another folder with --runtime",
  });
}

/** NVIDIA's libraries as the wheel of TensorFlow requires them: `name==version`. */
function cudaRequirements(site: string): string[] {
  const info = readdirSync(site).find((name) => name.endsWith(".dist-info"));
  const metadata = info === undefined ? "" : readFileSync(join(site, info, "METADATA"), "utf8");
  const wanted = /^Requires-Dist: (nvidia-\S+) \(?==([\d.]+)\)? ?; extra == 'and-cuda'/gm;
  return [...metadata.matchAll(wanted)].map(([, project, version]) => `${project}==${version}`).filter((project) => !UNUSED_CUDA_PROJECTS.test(project));
}

/** One run of the set-up: everything is made in `work`, which becomes the runtime when it is finished. */
class SetUp {
  readonly downloads: string;

  constructor(readonly options: RuntimeSetUpOptions, readonly folder: string, readonly work: string) {
    this.downloads = join(folder, "downloads");
  }

  #say(text: string): void {
    this.options.onProgress?.(text);
  }

  get #command(): { onLine?: (line: string) => void; signal?: AbortSignal } {
    const { onLine, signal } = this.options;
    return { ...(onLine && { onLine }), ...(signal && { signal }) };
  }

  /** @param size of the file, for people. */
  #download(requirement: string, size = "", sha256?: string): Promise<string> {
    const [project, version] = requirement.split("==") as [string, string];
    const here = wheelIn(this.downloads, project) !== null;
    this.#say(here ? `Taking ${project} ${version}, which was downloaded before …` : `Downloading ${project} ${version}${size} …`);
    const onBytes = (bytes: number): void => this.#say(`  ${Math.round(bytes / 1e6)} MB`);
    return downloadWheel(requirement, this.downloads, { ...this.#command, onBytes, ...(sha256 && { sha256 }) });
  }

  /** TensorFlow from its wheel, under `site` as pip would lay it out: the libraries find each other by that. */
  async fromWheel(kind: RuntimeKind): Promise<TensorFlowFiles> {
    const { project, sha256, bytes, unpackedBytes } = RELEASE.wheels[kind];
    const site = join(this.work, "site");
    const given = this.options.wheel;
    requireSpace(this.folder, unpackedBytes + (given === undefined ? bytes : 0));
    const wheel = given ?? (await this.#download(`${project}==${RELEASE.version}`, ` (${Math.round(bytes / 1e6)} MB)`, sha256));
    this.#say("Unpacking TensorFlow's libraries …");
    const names = await unpackWheel(wheel, (name) => TENSORFLOW_FILES.test(name), site, this.options.signal);
    const libraries = CC_LIBRARIES.map((name) => `tensorflow/${name}`);
    const absent = libraries.filter((name) => !names.includes(name));
    if (absent.length > 0) {
      throw new InputError({ where: wheel, got: `no ${absent.join(" and no ")}`, expected: `a wheel of TensorFlow for Linux, such as ${project} ${RELEASE.version}` });
    }
    const cuda = buildInfo(join(site, "tensorflow"));
    return { headers: join(site, "tensorflow", "include"), libraries: libraries.map((name) => join(site, name)), ...(cuda === undefined ? {} : { cuda }) };
  }

  /** NVIDIA's libraries of the versions that TensorFlow wants, unless the machine shows them already. */
  async fetchCuda(wanted: CudaVersions): Promise<void> {
    if (missingLibraries(wanted, await visibleLibraries(this.work)).length === 0) return;
    const site = join(this.work, "site");
    requireSpace(this.folder, CUDA_LIBRARY_BYTES);
    for (const requirement of cudaRequirements(site)) {
      const wheel = await this.#download(requirement);
      await unpackWheel(wheel, (name) => NVIDIA_FILES.test(name), site, this.options.signal);
      await rm(wheel);
    }
    const still = missingLibraries(wanted, await visibleLibraries(this.work)).map(({ soname }) => soname);
    if (still.length > 0) {
      throw new InputError({ where: "cuda-setup", got: `no ${still.join(", no ")} after the download`, expected: `the libraries of CUDA ${wanted.cuda} and cuDNN ${wanted.cudnn}` });
    }
  }

  async run(kind: BuiltKind, sources: { folder: string; version: string }): Promise<void> {
    const compiler = await findCompiler();
    const headers = nodeHeaders(this.options.nodeFolder);
    const files = kind === "linked" ? existingTensorFlow(this.options.tensorflow!) : await this.fromWheel(kind);
    if (kind === "cuda" && files.cuda != null) await this.fetchCuda(files.cuda);
    this.#say(`Compiling the addon of ${ADDON_PACKAGE} ${sources.version} …`);
    const addon = join(this.work, "tfjs_binding.node");
    const [first] = files.libraries as [string];
    const libraryFolder = first.slice(0, -basename(first).length - 1);
    await buildAddon({
      compiler, sources: sources.folder, nodeHeaders: headers, tensorflowHeaders: files.headers, libraries: files.libraries,
      searchPath: kind === "linked" ? libraryFolder : `$ORIGIN/${relative(this.work, libraryFolder)}`, output: addon,
    }, this.#command);
    const { version } = await checkAddon(addon, this.#command);
    const facts: RuntimeFacts = {
      schema: 1, kind, tensorflow: version, addonVersion: sources.version, addon: basename(addon),
      libraries: files.libraries.map((path) => (kind === "linked" ? path : relative(this.work, path))),
      ...(files.cuda === undefined ? {} : { cuda: files.cuda }),
    };
    writeFileSync(join(this.work, RUNTIME_FILE), `${JSON.stringify(facts, null, 2)}\n`);
  }
}

function requirePlatform(options: RuntimeSetUpOptions): void {
  const here = `${process.platform} on ${process.arch}`;
  const fine = options.tensorflow === undefined ? here === "linux on x64" : process.platform === "linux";
  if (fine) return;
  throw new InputError({
    where: "cuda-setup",
    got: here,
    expected: "Linux on x64, or another Linux with --tensorflow DIR; on Windows, WSL 2",
  });
}

/** Folders of set-ups that were killed. */
async function removeAbandoned(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const pid = Number(/\.(?:partial|old)-(\d+)$/.exec(name)?.[1] ?? 0);
    if (pid === 0) continue;
    try {
      process.kill(pid, 0);
    } catch {
      await rm(join(folder, name), { recursive: true, force: true });
    }
  }
}

/**
 * Makes TensorFlow usable from Node: fetches its libraries or takes those that are there, and compiles the addon of
 * tfjs-node from its packaged sources against them. What is finished is left alone. The runtime appears under its
 * name at once or not at all.
 * @throws InputError when something that is needed is missing; AbortedError when the signal stops it.
 */
export async function setUpRuntime(options: RuntimeSetUpOptions = {}): Promise<Runtime> {
  requirePlatform(options);
  const sources = addonPackage();
  if (sources === null) {
    throw new InputError({
      where: "cuda-setup",
      got: `the npm package ${ADDON_PACKAGE} is not installed`,
      expected: "that package, whose sources are compiled",
      next: `npm install --ignore-scripts ${ADDON_PACKAGE}@4.22.0`,
    });
  }
  const kind: BuiltKind = options.tensorflow === undefined ? (options.kind ?? "cuda") : "linked";
  const folder = resolve(options.folder ?? runtimeFolder());
  const place = join(folder, kind);
  const present = readRuntime(place);
  if (present !== null && options.force !== true && kind !== "linked" && present.addonVersion === sources.version) return present;

  await removeAbandoned(folder);
  const work = `${place}.partial-${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    const setUp = new SetUp(options, folder, work);
    await setUp.run(kind, sources);
    await replaceFolder(work, place);
    await rm(setUp.downloads, { recursive: true, force: true });
  } catch (error) {
    if (options.signal?.aborted === true) throw new AbortedError("cuda-setup was stopped; what was downloaded is kept for the next run", { cause: error });
    throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return readRuntime(place)!;
}
