/**
 * The arrows between packages: every package except the composition root imports `core` and nothing of ours beside
 * it; `core` names no other package; what a browser may load imports no Node built-in.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";

const SCOPE = "@atlas-tv/";

/** The composition root, which wires all the others. */
const COMPOSITION_ROOT = "cli";

/** Packages that run in Node only. Of every other one, the modules that `src/index.ts` reaches are for browsers too. */
const NODE_ONLY = new Set(["backend-cpu", "backend-cuda", "cli", "zoo"]);

/** `…/packages/<name>/src/…` → the package's name and folder. */
function ownerOf(filename) {
  const parts = resolve(filename).split(sep);
  const at = parts.lastIndexOf("packages");
  if (at < 0 || parts[at + 2] !== "src") return null;
  return { name: parts[at + 1], folder: parts.slice(0, at + 2).join(sep) };
}

/** The TypeScript file that a relative specifier names, or null. */
function moduleFile(from, specifier) {
  const path = join(dirname(from), specifier).replace(/\.js$/, ".ts");
  return existsSync(path) ? path : null;
}

const SPECIFIERS = /(?:\bfrom|\bimport)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g;

/** What one module imports by relative path; read again only when the file has changed. */
const importsByFile = new Map();

function relativeImports(file) {
  const { mtimeMs } = statSync(file);
  const known = importsByFile.get(file);
  if (known?.mtimeMs === mtimeMs) return known.imports;
  const imports = [...readFileSync(file, "utf8").matchAll(SPECIFIERS)].map(([, specifier]) => moduleFile(file, specifier)).filter((path) => path !== null);
  importsByFile.set(file, { mtimeMs, imports });
  return imports;
}

/** Whether `file` is reached from the package's src/index.ts. */
function isForBrowsers(file, folder) {
  const entry = join(folder, "src", "index.ts");
  if (!existsSync(entry)) return false;
  const seen = new Set([entry]);
  for (const module of seen) {
    if (module === file) return true;
    for (const next of relativeImports(module)) seen.add(next);
  }
  return false;
}

export default {
  meta: {
    type: "problem",
    docs: { description: "keep to the arrows between the packages" },
    schema: [],
    messages: {
      sibling: "Package \"{{owner}}\" imports \"{{specifier}}\": packages import {{allowed}} of ours and nothing beside it. Move what both need to core, or pass it in.",
      core: "core imports \"{{specifier}}\": core names no other package of ours.",
      outside: "\"{{specifier}}\" leaves package \"{{owner}}\": import the other package by its name.",
      builtin: "\"{{specifier}}\" is a Node built-in, and browsers load this file of package \"{{owner}}\". Move it behind src/node.ts, or pass it in.",
    },
  },
  create(context) {
    const file = resolve(context.filename);
    const owner = ownerOf(file);
    if (owner === null) return {};
    let forBrowsers;

    function check(node, source) {
      if (source?.type !== "Literal" || typeof source.value !== "string") return;
      const specifier = source.value;
      const data = { owner: owner.name, specifier, allowed: `${SCOPE}core` };
      if (specifier.startsWith(SCOPE)) {
        const target = specifier.slice(SCOPE.length).split("/")[0];
        if (owner.name === "core") context.report({ node, messageId: "core", data });
        else if (owner.name !== COMPOSITION_ROOT && target !== "core") context.report({ node, messageId: "sibling", data });
      } else if (specifier.startsWith(".")) {
        if (relative(owner.folder, join(dirname(file), specifier)).startsWith("..")) context.report({ node, messageId: "outside", data });
      } else if (isBuiltin(specifier) && !NODE_ONLY.has(owner.name)) {
        forBrowsers ??= owner.name === "core" || isForBrowsers(file, owner.folder);
        if (forBrowsers) context.report({ node, messageId: "builtin", data });
      }
    }

    return {
      ImportDeclaration: (node) => check(node, node.source),
      ExportNamedDeclaration: (node) => check(node, node.source),
      ExportAllDeclaration: (node) => check(node, node.source),
      ImportExpression: (node) => check(node, node.source),
      TSImportType: (node) => check(node, node.source ?? node.argument?.literal),
      "CallExpression[callee.name='require']": (node) => check(node, node.arguments[0]),
    };
  },
};
