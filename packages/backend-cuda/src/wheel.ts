import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { InputError } from "@atlas-tv/core";
import { open, type Entry, type ZipFile } from "yauzl";
import { runCommand, type CommandOptions } from "./command.js";
import { RELEASE } from "./tensorflow-release.js";

/** Ways to call pip, the first that is there is taken. */
const PIPS = [["python3", "-m", "pip"], ["python", "-m", "pip"], ["pip3"], ["pip"]] as const;

async function findPip(): Promise<readonly string[]> {
  for (const pip of PIPS) {
    const [program, ...args] = pip;
    if ((await runCommand(program, [...args, "--version"])).status === 0) return pip;
  }
  throw new InputError({
    where: "cuda-setup",
    got: "no pip",
    expected: "Python's pip, which downloads the wheel; nothing of Python runs beside it",
    next: `install it (python3-pip), or download the wheel of TensorFlow ${RELEASE.version} yourself and give it with --wheel FILE`,
  });
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** The wheel of a project that lies in a folder, or null. */
export function wheelIn(folder: string, project: string): string | null {
  const prefix = `${project.replaceAll("-", "_")}-`;
  const name = existsSync(folder) ? readdirSync(folder).find((file) => file.startsWith(prefix) && file.endsWith(".whl")) : undefined;
  return name === undefined ? null : join(folder, name);
}

/** How often a download tells how far it is. */
const REPORT_MS = 5000;

/** Bytes of the files under a folder; those that vanish meanwhile count nothing. */
function bytesUnder(folder: string): number {
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }) : [];
  return files.reduce((sum, file) => {
    const found = statSync(join(folder, file), { throwIfNoEntry: false });
    return sum + (found?.isFile() === true ? found.size : 0);
  }, 0);
}

export interface DownloadOptions extends CommandOptions {
  /** Told every few seconds how many bytes are here. */
  readonly onBytes?: (bytes: number) => void;
  /** Of the file; one that differs is refused and removed. */
  readonly sha256?: string;
}

/**
 * Downloads one wheel through pip, from whatever index pip is set up for; one that lies there already is kept.
 * @param requirement `name==version`.
 */
export async function downloadWheel(requirement: string, folder: string, options: DownloadOptions = {}): Promise<string> {
  const { onBytes, sha256, ...command } = options;
  mkdirSync(folder, { recursive: true });
  const project = requirement.split("==")[0]!;
  let failure = "";
  if (wheelIn(folder, project) === null) {
    const [program, ...prefix] = (await findPip()) as [string, ...string[]];
    const flags = ["--no-deps", "--no-cache-dir", "--only-binary=:all:", "--progress-bar=off", "--disable-pip-version-check"];
    const tags = ["--implementation=cp", `--python-version=${RELEASE.python}`, `--abi=${RELEASE.abi}`, "--abi=none", `--platform=${RELEASE.platform}`];
    // What pip has of a file so far lies in its temporary folder, which is ours to watch and to remove.
    const arriving = join(folder, "arriving");
    mkdirSync(arriving, { recursive: true });
    const watch = setInterval(() => onBytes?.(bytesUnder(arriving)), REPORT_MS);
    const run = runCommand(program, [...prefix, "download", ...flags, ...tags, "--dest", folder, requirement], { ...command, env: { TMPDIR: arriving } });
    const { stderr } = await run.finally(async () => {
      clearInterval(watch);
      await rm(arriving, { recursive: true, force: true });
    });
    failure = stderr.trim().split("\n").at(-1) ?? "";
  }
  const path = wheelIn(folder, project);
  if (path === null) {
    throw new InputError({
      where: "cuda-setup",
      got: `pip could not download ${requirement}${failure === "" ? "" : ` (${failure})`}`,
      expected: "a package index that pip reaches",
      next: "run the command again when there is one, or give a wheel with --wheel FILE",
    });
  }
  if (sha256 !== undefined && (await sha256Of(path)) !== sha256) {
    await rm(path);
    throw new InputError({
      where: path,
      got: "another file than the one that was proven, by its SHA-256; it was removed",
      expected: `the wheel of ${requirement} with SHA-256 ${sha256}`,
      next: "run the command again",
    });
  }
  return path;
}

function openZip(path: string): Promise<ZipFile> {
  return new Promise((resolve, reject) => {
    open(path, { lazyEntries: true, autoClose: true, validateEntrySizes: true }, (error, zip) => {
      if (error === null) resolve(zip);
      else reject(new InputError({ where: path, got: error.message, expected: "a wheel, which is a zip file" }, { cause: error }));
    });
  });
}

function contentOf(zip: ZipFile, entry: Entry): Promise<Readable> {
  return new Promise((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => {
      if (error === null) resolve(stream);
      else reject(error);
    });
  });
}

/**
 * Unpacks those files of a wheel that are wanted, under their own names; nothing of it is run. Names that lead out of
 * the target are refused by the reader.
 * @returns the names.
 */
export async function unpackWheel(path: string, wanted: (name: string) => boolean, target: string, signal?: AbortSignal): Promise<string[]> {
  const zip = await openZip(path);
  const names: string[] = [];
  const write = async (entry: Entry): Promise<void> => {
    const file = join(target, entry.fileName);
    mkdirSync(dirname(file), { recursive: true });
    await pipeline(await contentOf(zip, entry), createWriteStream(file), { ...(signal && { signal }) });
    names.push(entry.fileName);
  };
  await new Promise<void>((resolve, reject) => {
    zip.on("entry", (entry: Entry) => {
      if (entry.fileName.endsWith("/") || !wanted(entry.fileName)) {
        zip.readEntry();
        return;
      }
      write(entry).then(() => { zip.readEntry(); }, reject);
    });
    zip.once("error", reject);
    zip.once("end", resolve);
    zip.readEntry();
  }).finally(() => { zip.close(); });
  return names;
}

/** Puts a finished folder in its place; what was there before is removed. */
export async function replaceFolder(finished: string, place: string): Promise<void> {
  const aside = `${place}.old-${process.pid}`;
  if (existsSync(place)) await rename(place, aside);
  await rename(finished, place);
  await rm(aside, { recursive: true, force: true });
}
