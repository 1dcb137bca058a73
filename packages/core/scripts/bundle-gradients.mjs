/**
 * Writes generated/tfjs-gradients.js: tfjs-core's own gradient configurations as one module that imports the rest
 * from the public '@tensorflow/tfjs-core'. Node's module loader cannot import dist/register_all_gradients.js, and a
 * second copy of tfjs-core's engine would not see the tensors of the first.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const CORE = "@tensorflow/tfjs-core";
const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const tfjs = require(CORE);
const { version, license } = require(`${CORE}/package.json`);
const dist = join(dirname(require.resolve(`${CORE}/package.json`)), "dist");

/** Not exported by name, but reachable through the public surface. */
const REACHABLE = new Map([
  ["engine.js#ENGINE", `import { engine } from "${CORE}"; export const ENGINE = /* @__PURE__ */ engine();`],
  ["tensor.js#getGlobalTensorClass", `import { Tensor } from "${CORE}"; export const getGlobalTensorClass = () => Tensor;`],
]);

const relativeOf = (path) => path.slice(dist.length + 1);
const resolveModule = (from, specifier) => `${resolve(dirname(from), specifier)}.js`;

/**
 * Public name of every binding ("ops/add.js#add" → "add"), and the namespace through which a module is public
 * ("util.js" → "util", "ops/conv_util.js" → "backend_util"); roots are the modules that are a whole namespace.
 */
function publicNames() {
  const bindings = new Map();
  const namespaces = new Map();
  const visit = (path) => {
    const source = readFileSync(path, "utf8");
    const imported = new Map([...source.matchAll(/^import \* as (\w+) from '(.+)';/gm)].map(([, name, from]) => [name, from]));
    const exports = [...source.matchAll(/^export \{([^}]*)\}(?: from '(.+)')?;/gm)];
    for (const [, list, from] of exports) {
      for (const entry of list.split(",").map((text) => text.trim()).filter(Boolean)) {
        const [name, alias = name] = entry.split(/\s+as\s+/);
        if (from !== undefined) bindings.set(`${relativeOf(resolveModule(path, from))}#${name}`, alias);
        else if (imported.has(name)) namespaces.set(relativeOf(resolveModule(path, imported.get(name))), alias);
        else bindings.set(`${relativeOf(path)}#${name}`, alias);
      }
    }
    for (const [, name] of source.matchAll(/^export (?:const|let|var|function|async function|class) (\w+)/gm)) {
      bindings.set(`${relativeOf(path)}#${name}`, name);
    }
    for (const [, from] of source.matchAll(/^export \* from '(.+)';/gm)) visit(resolveModule(path, from));
  };
  visit(join(dist, "base.js"));
  const roots = new Set(namespaces.keys());
  for (const module of roots) {
    const path = join(dist, module);
    for (const [, from] of readFileSync(path, "utf8").matchAll(/^export \* from '(.+)';/gm)) {
      const member = relativeOf(resolveModule(path, from));
      if (!namespaces.has(member)) namespaces.set(member, namespaces.get(module));
    }
  }
  return { bindings, namespaces, roots };
}

/** The named exports of a module of tfjs-core; `export *` modules are reached as namespaces. */
async function exportsOf(path) {
  const { metafile } = await build({
    entryPoints: [path], bundle: false, write: false, metafile: true, format: "esm", outdir: "out",
  });
  return Object.values(metafile.outputs)[0].exports;
}

const { bindings, namespaces, roots } = publicNames();

/** A stand-in for one module of tfjs-core: public names come from the package, the rest from the file itself. */
async function standIn(module) {
  if (module === "base.js") return `export * from "${CORE}";`;
  const path = join(dist, module);
  const namespace = namespaces.get(module);
  const names = roots.has(module) ? Object.keys(tfjs[namespace]) : await exportsOf(path);
  const lines = names.map((name) => {
    const at = `${module}#${name}`;
    if (bindings.has(at)) return `export { ${bindings.get(at)} as ${name} } from "${CORE}";`;
    if (namespace !== undefined && name in tfjs[namespace]) {
      return `export const ${name} = /* @__PURE__ */ (() => ${namespace}.${name})();`;
    }
    return REACHABLE.get(at) ?? `export { ${name} } from "own:${path}";`;
  });
  return [namespace === undefined ? "" : `import { ${namespace} } from "${CORE}";`, ...lines].join("\n");
}

const publicSurface = {
  name: "public-surface",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@tensorflow\/tfjs-core$/ }, () => ({ path: CORE, external: true, sideEffects: false }));
    onResolve({ filter: /^own:/ }, ({ path }) => ({ path: path.slice(4), sideEffects: false }));
    onResolve({ filter: /^\.\.?\// }, ({ path, importer, resolveDir }) => {
      const target = `${resolve(resolveDir, path)}.js`;
      // Registering is left to the caller: the bundle only collects the configurations.
      if (relativeOf(target) === "kernel_registry.js" && relativeOf(importer) === "register_all_gradients.js") {
        return { path: "collected", namespace: "collected" };
      }
      if (relativeOf(target).startsWith("gradients/")) return { path: target };
      return { path: relativeOf(target), namespace: "stand-in", sideEffects: false };
    });
    onResolve({ filter: /^collected$/ }, () => ({ path: "collected", namespace: "collected" }));
    onLoad({ filter: /.*/, namespace: "collected" }, () => ({
      contents: "export const gradientConfigs = []; export const registerGradient = (config) => { gradientConfigs.push(config); };",
    }));
    onLoad({ filter: /.*/, namespace: "stand-in" }, async ({ path }) => ({ contents: await standIn(path), resolveDir: dist }));
  },
};

const outfile = join(here, "../generated/tfjs-gradients.js");
const { metafile } = await build({
  stdin: {
    contents: `import "${join(dist, "register_all_gradients.js")}"; export { gradientConfigs } from "collected";`,
    resolveDir: here,
  },
  // Module names in the output are relative to this folder: the file is the same wherever it is made.
  absWorkingDir: dist,
  outfile,
  bundle: true,
  format: "esm",
  platform: "neutral",
  target: "es2022",
  legalComments: "none",
  logLevel: "warning",
  metafile: true,
  banner: { js: `/** Gradient configurations of ${CORE} ${version} (${license}, Copyright Google LLC), bundled. */` },
  plugins: [publicSurface],
});

const inputs = Object.entries(Object.values(metafile.outputs)[0].inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
const modules = inputs.map(([path]) => path).filter((path) => !path.includes(":") && path !== "<stdin>");
const extra = modules.filter((path) => !path.startsWith("gradients/") && path !== "register_all_gradients.js");
process.stderr.write(`${modules.length - extra.length} modules of gradients; beside them, not public: ${extra.join(", ")}\n`);
