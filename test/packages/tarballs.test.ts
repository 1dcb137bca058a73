import { copyFileSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../scripts/toolchain.mjs";
import { command, installPacked, ours, packAll, publicPackages, readManifest } from "./packed-packages.js";

const packages = publicPackages();
const ids = packages.map(({ id }) => id);
const rootManifest = readManifest(ROOT);

/** Packages whose consumers below learn or differentiate run on tfjs's own CPU backend. */
const EXTRA = Object.fromEntries(["@tensorflow/tfjs-backend-cpu", "@tensorflow/tfjs-core"].map((name) => [name, rootManifest.devDependencies![name]!]));

let folder: string;
let tarballs: ReadonlyMap<string, string>;
let projects: ReadonlyMap<string, string>;

/** One install for all: what a package reaches is checked by where pnpm links its dependencies. */
beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "atlas packed-")));
  tarballs = await packAll(packages, join(folder, "tarballs"));
  projects = await installPacked(folder, packages, tarballs, EXTRA);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Folders of a package that were installed, by version and peers. */
function installedCopies(name: string): string[] {
  const prefix = `${name.replace("/", "+")}@`;
  return readdirSync(join(folder, "node_modules", ".pnpm")).filter((entry) => entry.startsWith(prefix));
}

describe("the packed packages", () => {
  it.each(ids)("%s needs core alone of ours, unless it is the command line, and reaches what it declares", (id) => {
    const { name, dependencies, peerDependencies } = packages.find((item) => item.id === id)!.manifest;
    const declared = [...new Set([...ours(dependencies), ...ours(peerDependencies)])];
    if (id !== "cli") expect(declared.filter((other) => other !== "@atlas-tv/core")).toEqual([]);
    const installed = realpathSync(join(projects.get(id)!, "node_modules", name));
    expect(readdirSync(dirname(installed)).map((other) => `@atlas-tv/${other}`).sort()).toEqual([...declared, name].sort());
  });

  it.each(ids)("%s holds its types, its sources, its licence and its README, and no leftovers", async (id) => {
    const list = (await command("tar", ["-tzf", tarballs.get(id)!], folder)).split("\n");
    for (const file of ["README.md", "LICENSE", "dist/index.js", "dist/index.d.ts", "src/index.ts"]) expect(list).toContain(`package/${file}`);
    expect(list.filter((file) => /tsbuildinfo|\/test\/|node_modules/.test(file))).toEqual([]);
    expect(readFileSync(join(projects.get(id)!, "node_modules", "@atlas-tv", id, "package.json"), "utf8")).not.toContain("workspace:");
  });

  it("share one tfjs-core", () => {
    expect(installedCopies("@tensorflow/tfjs-core")).toHaveLength(1);
  });

  it("type-check and run in projects that have nothing else", async () => {
    for (const id of ids) copyFileSync(join(ROOT, "test", "packages", "consumers", `${id}.ts`), join(projects.get(id)!, "main.ts"));
    const compilerOptions = {
      target: "ES2022", module: "NodeNext", strict: true, skipLibCheck: true, lib: ["ES2022", "DOM"],
      types: ["node"], typeRoots: [join(ROOT, "node_modules", "@types")],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["projects/*/main.ts"] }));
    await command(process.execPath, [join(ROOT, "node_modules", "typescript", "bin", "tsc"), "-p", folder], folder);
    for (const id of ids) await command(process.execPath, ["main.js"], projects.get(id)!);
  });

  it.each(ids)("%s satisfies publint", async (id) => {
    const { buffer } = new Uint8Array(readFileSync(tarballs.get(id)!));
    const { manifest } = packages.find((item) => item.id === id)!;
    const { messages } = await publint({ pack: { tarball: buffer }, strict: true });
    expect(messages.map((message) => formatMessage(message, { ...manifest }, { color: false }))).toEqual([]);
  });

  it.each(ids)("%s has types that resolve from ES modules and bundlers", async (id) => {
    const attw = join(ROOT, "node_modules", "@arethetypeswrong", "cli", "dist", "index.js");
    const output = await command(process.execPath, [attw, tarballs.get(id)!, "--profile", "esm-only", "--format", "json"], folder);
    const { analysis } = JSON.parse(output) as { analysis: { types: unknown; problems: { resolutionKind?: string }[] } };
    expect(analysis.types).toBeTruthy();
    // CommonJS callers are not served: the packages are ES modules.
    expect(analysis.problems.filter(({ resolutionKind }) => resolutionKind !== "node10" && resolutionKind !== "node16-cjs")).toEqual([]);
  });
});
