import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { build, type Plugin } from "esbuild";
import { BUNDLING } from "../build/site.mjs";

const CORE = "@tensorflow/tfjs-core";
const SECOND = "?second";

/** Gives tfjs's WebGPU backend a copy of tfjs-core of its own, as a package manager does that finds two versions asked for. */
const secondCore: Plugin = {
  name: "second-core",
  setup(own) {
    own.onResolve({ filter: /./ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
      const data = pluginData as { asked?: boolean; second?: boolean } | undefined;
      const begins = path === CORE && importer.includes("tfjs-backend-webgpu");
      const within = data?.second === true && path.startsWith(".");
      if (data?.asked === true || !(begins || within)) return undefined;
      const found = await own.resolve(path, { importer, resolveDir, kind, pluginData: { asked: true } });
      return { path: found.path, suffix: SECOND, pluginData: { second: true } };
    });
    own.onLoad({ filter: /./ }, async ({ path, suffix }) => {
      if (suffix !== SECOND) return undefined;
      return { contents: await readFile(path, "utf8"), loader: "js", resolveDir: dirname(path), pluginData: { second: true } };
    });
  },
};

/** The page's worker, bundled with two copies of tfjs-core. */
export async function workerWithTwoCores(): Promise<string> {
  const { outputFiles } = await build({ ...BUNDLING, entryPoints: ["src/worker.ts"], write: false, sourcemap: false, legalComments: "none", plugins: [secondCore] });
  return outputFiles[0]!.text;
}
