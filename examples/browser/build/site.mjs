import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { zooCheckpoints } from "@atlas-tv/zoo";
import { writeSamples } from "./samples.mjs";

const HERE = fileURLToPath(new URL("..", import.meta.url));

/** Where the site lies unless the caller says otherwise: static files, to be served by anything. */
export const SITE = join(HERE, "dist", "site");

const SERVICE_WORKER = "service-worker.js";

/**
 * How a part of the page is bundled.
 * @type {import("esbuild").BuildOptions}
 */
export const BUNDLING = {
  absWorkingDir: HERE,
  bundle: true,
  platform: "browser",
  format: "esm",
  target: "es2022",
  minify: true,
  sourcemap: "linked",
  legalComments: "linked",
  logLevel: "warning",
};

function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}

/** WebAssembly in three builds: plain, SIMD, SIMD with threads; the browser takes one. */
function copyWasm(folder) {
  const from = dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"));
  for (const name of readdirSync(from).filter((file) => file.endsWith(".wasm"))) cpSync(join(from, name), join(folder, name));
}

/** A name that changes with any file of the site, and the files that are kept for use offline. */
function contents(folder) {
  const files = filesOf(folder).filter((file) => !/\.(map|LEGAL\.txt)$/.test(file));
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update("\0").update(readFileSync(join(folder, file)));
  return { version: hash.digest("hex").slice(0, 16), files: ["./", ...files.filter((file) => file !== "index.html")] };
}

/**
 * Builds the site: page, bundles, WebAssembly, the zoo's model and sample images.
 * @returns what went into the bundles, as esbuild tells it
 */
export async function buildSite(folder = SITE) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(HERE, "page"), folder, { recursive: true });
  cpSync(zooCheckpoints(), join(folder, "models"), { recursive: true });
  mkdirSync(join(folder, "wasm"));
  copyWasm(join(folder, "wasm"));
  await writeSamples(join(folder, "samples"));
  const { metafile } = await build({ ...BUNDLING, entryPoints: ["src/main.ts", "src/worker.ts"], outdir: folder, metafile: true });
  // Last: it holds the hash of everything else.
  const define = { SITE: JSON.stringify(contents(folder)) };
  await build({ ...BUNDLING, entryPoints: ["src/service-worker.ts"], outfile: join(folder, SERVICE_WORKER), define });
  writeFileSync(join(folder, ".nojekyll"), "");
  return metafile;
}
