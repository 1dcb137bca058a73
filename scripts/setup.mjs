/**
 * Makes a checkout ready to run: dependencies installed, packages built. Does nothing when both are up to date.
 * Plain Node, no dependency, so that it runs in a fresh clone; writes to standard error only.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { withLock } from "./setup-lock.mjs";
import { CACHE, findPnpm, requireNode, ROOT, runTool, say, SetupError } from "./toolchain.mjs";

const INSTALL_STAMP = join(ROOT, "node_modules", ".atlas-installed");
const BUILD_STAMP = join(CACHE, "built");
const GRADIENTS = join(ROOT, "packages", "core", "generated", "tfjs-gradients.js");
const GRADIENTS_SCRIPT = join(ROOT, "packages", "core", "scripts", "bundle-gradients.mjs");

/** Folders of the workspace that hold a package.json, relative to the root. */
function members() {
  return ["packages", "examples"].flatMap((group) => {
    const folder = join(ROOT, group);
    if (!existsSync(folder)) return [];
    return readdirSync(folder).map((name) => join(group, name)).filter((path) => existsSync(join(ROOT, path, "package.json")));
  }).sort();
}

function* filesIn(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesIn(path);
    else yield path;
  }
}

/** The sources of a member that is built. */
function sources(member) {
  if (!existsSync(join(ROOT, member, "tsconfig.json"))) return [];
  return [...filesIn(join(ROOT, member, "src"))].filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"));
}

/** What the compiler makes of a source. */
function outputOf(member, source) {
  return join(ROOT, member, "dist", relative(join(ROOT, member, "src"), source).replace(/\.ts$/, ".js"));
}

function digest(parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex");
}

/** What was asked to be installed: the lock file and every manifest, by content. */
function wantedInstall() {
  const files = ["pnpm-lock.yaml", "pnpm-workspace.yaml", ".npmrc", "package.json", ...members().map((path) => join(path, "package.json"))];
  return digest(files.flatMap((file) => [file, existsSync(join(ROOT, file)) ? readFileSync(join(ROOT, file)) : ""]));
}

/** What was asked to be built: the sources, by size and time. */
function wantedBuild() {
  const parts = [readStamp(INSTALL_STAMP)];
  const configs = ["tsconfig.json", "tsconfig.base.json", ...members().map((path) => join(path, "tsconfig.json"))].map((file) => join(ROOT, file));
  for (const file of [...configs.filter(existsSync), GRADIENTS_SCRIPT, ...members().flatMap(sources)].sort()) {
    const { size, mtimeMs } = statSync(file);
    parts.push(`${relative(ROOT, file)} ${size} ${mtimeMs}`);
  }
  return digest(parts);
}

function readStamp(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function writeStamp(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function installed() {
  return readStamp(INSTALL_STAMP) === wantedInstall() && members().every((path) => {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(ROOT, path, "package.json"), "utf8"));
    return Object.keys({ ...dependencies, ...devDependencies }).length === 0 || existsSync(join(ROOT, path, "node_modules"));
  });
}

function built() {
  if (readStamp(BUILD_STAMP) !== wantedBuild() || !existsSync(GRADIENTS)) return false;
  return members().every((path) => sources(path).every((source) => existsSync(outputOf(path, source))));
}

async function install() {
  const wanted = wantedInstall();
  const [command, ...prefix] = await findPnpm();
  say("Installing dependencies …");
  const flags = ["--frozen-lockfile", "--ignore-scripts", "--reporter=append-only", "--config.confirm-modules-purge=false"];
  const status = await runTool(command, [...prefix, "install", ...flags]);
  if (status !== 0) throw new SetupError(`pnpm install ended with ${status}; its message stands above.`);
  writeStamp(INSTALL_STAMP, wanted);
}

async function build() {
  const wanted = wantedBuild();
  say("Building …");
  const made = existsSync(GRADIENTS) ? statSync(GRADIENTS).mtimeMs : 0;
  if (made < Math.max(statSync(GRADIENTS_SCRIPT).mtimeMs, statSync(INSTALL_STAMP).mtimeMs)) {
    const status = await runTool(process.execPath, [GRADIENTS_SCRIPT]);
    if (status !== 0) throw new SetupError(`${relative(ROOT, GRADIENTS_SCRIPT)} ended with ${status}; its message stands above.`);
  }
  const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const status = await runTool(process.execPath, [compiler, "--build", "--pretty", "false"]);
  if (status !== 0) throw new SetupError(`The packages do not compile (tsc ended with ${status}); the errors stand above.`);
  writeStamp(BUILD_STAMP, wanted);
}

/** Installs and builds what is missing or stale; commands that start at the same time wait for each other. */
export async function setUp() {
  requireNode();
  if (installed() && built()) return;
  await withLock(join(CACHE, "setup.lock"), async () => {
    if (!installed()) await install();
    if (!built()) await build();
  });
}

/** Ends the process on an error: without a stack where the message is all the user needs, with 2 on bad input to a program. */
export function endWith(error) {
  const isInput = error?.name === "InputError";
  say(isInput || error instanceof SetupError ? error.message : (error?.stack ?? String(error)));
  process.exit(isInput ? 2 : 1);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await setUp().catch(endWith);
