import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");

/** Everything that is made and not committed. */
export const CACHE = join(ROOT, ".cache");

/** The oldest Node that the packages run on, as package.json's `engines` says. */
const OLDEST_NODE = [20, 19];

/** How long a pnpm of the user's may take to tell its version: a shim may try to download one. */
const VERSION_TIMEOUT_MS = 5000;

/** A message for people: results alone go to standard output. */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Something that only the user can mend; ends the script with its message and no stack. */
export class SetupError extends Error {}

export function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  throw new SetupError(`This is Node ${process.versions.node} (${process.execPath}); Node ${OLDEST_NODE.join(".")} or newer is needed.`);
}

/** The environment of tools we start: npm's own verbosity is not meant for them. */
export function toolEnvironment(extra = {}) {
  const { npm_config_loglevel: _loglevel, ...environment } = process.env;
  return { ...environment, ...extra };
}

/** Runs a tool to its end with its standard output on our standard error. */
export function runTool(command, args, { cwd = ROOT, env = {}, shell = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: toolEnvironment(env), stdio: ["ignore", process.stderr, process.stderr], shell });
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? `signal ${signal}`));
  });
}

/** @returns the command line of pnpm in the version that package.json asks for. */
export async function findPnpm() {
  const { packageManager } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const version = packageManager.split("@")[1];
  const home = join(CACHE, `pnpm-${version}`);
  const own = join(home, "node_modules", "pnpm", "bin", "pnpm.cjs");
  if (existsSync(own)) return [process.execPath, own];

  const windows = process.platform === "win32";
  // Asked outside this folder, where pnpm would answer with the version wanted here rather than its own.
  const found = spawnSync("pnpm", ["--version"], {
    cwd: tmpdir(),
    env: toolEnvironment({ COREPACK_ENABLE_NETWORK: "0" }),
    encoding: "utf8",
    timeout: VERSION_TIMEOUT_MS,
    shell: windows,
  });
  if (found.status === 0 && found.stdout.trim() === version && !windows) return ["pnpm"];

  say(`Installing pnpm ${version} into .cache …`);
  mkdirSync(home, { recursive: true });
  const flags = ["--no-package-lock", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const status = await runTool("npm", ["install", "--prefix", home, ...flags, `pnpm@${version}`], { cwd: home, shell: windows });
  if (status !== 0 || !existsSync(own)) {
    throw new SetupError(`npm could not install pnpm ${version} (${status}). Is the npm registry reachable? Then run the command again.`);
  }
  return [process.execPath, own];
}
