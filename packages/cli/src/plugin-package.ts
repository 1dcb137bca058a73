import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** What Node's `import` looks for in a package's `exports`. */
const CONDITIONS = new Set(["node", "import", "module-sync", "default"]);

/** The target of an `exports` entry for `import`; the first condition that holds counts. */
function importTarget(entry: unknown): string | null {
  if (typeof entry === "string") return entry;
  if (Array.isArray(entry)) return entry.map(importTarget).find((target) => target !== null) ?? null;
  if (typeof entry !== "object" || entry === null) return null;
  for (const [condition, target] of Object.entries(entry)) {
    const found = CONDITIONS.has(condition) ? importTarget(target) : null;
    if (found !== null) return found;
  }
  return null;
}

function mainEntry(manifest: { exports?: unknown; main?: string }): string | null {
  const { exports, main = "index.js" } = manifest;
  if (exports === undefined) return main;
  const root = typeof exports === "object" && exports !== null && "." in exports ? exports["."] : exports;
  return importTarget(root);
}

/** The folder of an installed package, searched as Node does from a folder upwards. */
function packageFolder(name: string, from: string): string | null {
  for (const modules of createRequire(join(from, "from.js")).resolve.paths(name) ?? []) {
    const folder = join(modules, name);
    if (existsSync(join(folder, "package.json"))) return folder;
  }
  return null;
}

/** The module that `import(name)` would load in the caller's folder or, failing that, in this package's; null without one. */
export function packageEntry(name: string): string | null {
  for (const from of [process.cwd(), dirname(fileURLToPath(import.meta.url))]) {
    const folder = packageFolder(name, from);
    if (folder === null) continue;
    const entry = mainEntry(
      JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { exports?: unknown; main?: string },
    );
    if (entry !== null) return resolve(folder, entry);
  }
  return null;
}
