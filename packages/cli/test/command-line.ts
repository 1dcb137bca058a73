import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { runAtlas } from "../src/index.js";

export interface Ended {
  readonly status: number | null;
  /** What was printed on stdout and on stderr. */
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process. */
export async function atlas(...args: readonly string[]): Promise<Ended> {
  const out: string[] = [];
  const err: string[] = [];
  const status = await runAtlas(args, {
    out: (text) => {
      out.push(`${text}\n`);
    },
    note: (text) => {
      err.push(`${text}\n`);
    },
    signal: new AbortController().signal,
  });
  return { status, out: out.join(""), err: err.join("") };
}

/** Runs a command line that is interrupted once its first epoch, or first coefficient, has been shown. @returns its exit status */
export async function interrupted(...args: readonly string[]): Promise<number> {
  const interruption = new AbortController();
  return runAtlas(args, {
    out: () => {},
    note: (text) => {
      if (text.includes("epoch 1/")) interruption.abort();
    },
    signal: interruption.signal,
  });
}

/** The built program, as a checkout's `npm run atlas` and an installed `atlas` run it. */
export const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));

export interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended & { readonly signal: NodeJS.Signals | null }>;
}

/** Starts the built program in a folder. */
export function start(cwd: string, ...args: readonly string[]): Child {
  const process_ = spawn(process.execPath, [MAIN, ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  process_.stdout.on("data", (text: Buffer) => {
    out += text.toString();
  });
  process_.stderr.on("data", (text: Buffer) => {
    err += text.toString();
  });
  const ended = new Promise<Ended & { signal: NodeJS.Signals | null }>((resolve, reject) => {
    process_.once("error", reject);
    process_.once("close", (status, signal) => {
      resolve({ status, signal, out, err });
    });
  });
  return { process: process_, ended };
}

/** A folder that a test file writes to; `remove` takes it away. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "atlas-cli-")));
  return {
    path,
    remove: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Every file below a folder, hidden ones too, by its path from there; empty when there is no such folder. */
export function filesIn(folder: string): string[] {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}
