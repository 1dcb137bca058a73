import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { findPnpm, ROOT } from "../../scripts/toolchain.mjs";

const execute = promisify(execFile);

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly type?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export interface PublicPackage {
  /** Name of the folder, which is the name without the scope. */
  readonly id: string;
  readonly folder: string;
  readonly manifest: Manifest;
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
}

/** The packages of a checkout that are published. */
export function publicPackages(root = ROOT): PublicPackage[] {
  return readdirSync(join(root, "packages"))
    .map((id) => ({ id, folder: join(root, "packages", id), manifest: readManifest(join(root, "packages", id)) }))
    .filter(({ manifest }) => manifest.private !== true);
}

/** Names of ours in a table of dependencies. */
export function ours(dependencies: Readonly<Record<string, string>> = {}): string[] {
  return Object.keys(dependencies).filter((name) => name.startsWith("@atlas-tv/"));
}

/** Runs a program to its end. @throws an error with everything it printed, when it fails. */
export async function command(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    const { stdout, stderr } = await execute(program, args, { cwd, env: { ...process.env, ...env }, maxBuffer: 2 ** 26 });
    return stdout + stderr;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(" ")}\n${stdout}${stderr}`, { cause: error });
  }
}

export async function pnpm(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const [program, ...prefix] = await findPnpm();
  return command(program!, [...prefix, ...args], cwd, env);
}

/** Packs every package into `folder`. @returns the path of each tarball by package id */
export async function packAll(packages: readonly PublicPackage[], folder: string): Promise<ReadonlyMap<string, string>> {
  mkdirSync(folder, { recursive: true });
  const tarballs = new Map<string, string>();
  for (const { id, folder: from, manifest } of packages) {
    const path = join(folder, `${id}-${manifest.version}.tgz`);
    await pnpm(["pack", "--out", path], from);
    tarballs.set(id, path);
  }
  return tarballs;
}

/**
 * A workspace outside the repository with one project per package, which depends on that package's tarball, core's
 * and its peers alone. Nothing is hoisted: a project and a package reach only what they declare.
 * @param extra what the projects' own code needs from the registry.
 * @returns the folder of each project by package id
 */
export async function installPacked(
  folder: string,
  packages: readonly PublicPackage[],
  tarballs: ReadonlyMap<string, string>,
  extra: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, string>> {
  const local = (id: string): string => `file:${tarballs.get(id)!}`;
  const overrides = packages.map(({ id, manifest }) => `  "${manifest.name}": "${local(id)}"`);
  const settings = ["packages: [projects/*]", "hoist: false", "autoInstallPeers: false", "strictPeerDependencies: true", "overrides:", ...overrides];
  const projects = new Map(packages.map(({ id }) => [id, join(folder, "projects", id)]));
  for (const { id, manifest } of packages) {
    const peers = Object.entries(manifest.peerDependencies ?? {}).filter(([name]) => !name.startsWith("@atlas-tv/"));
    const dependencies = { ...extra, ...Object.fromEntries(peers), "@atlas-tv/core": local("core"), [manifest.name]: local(id) };
    mkdirSync(projects.get(id)!, { recursive: true });
    writeFileSync(join(projects.get(id)!, "package.json"), JSON.stringify({ name: `uses-${id}`, private: true, type: "module", dependencies }));
  }
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "packed", private: true }));
  writeFileSync(join(folder, "pnpm-workspace.yaml"), settings.join("\n"));
  const store = (await pnpm(["store", "path", "--silent"], ROOT)).trim();
  await pnpm(["install", "--prefer-offline", "--ignore-scripts", "--no-frozen-lockfile", "--store-dir", store], folder);
  return projects;
}
