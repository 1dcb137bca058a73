import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { InputError, registered, resolvePlugin, type Plugin, type PluginKind, type PluginKinds } from "@atlas-tv/core";
import type { DependencyContainer } from "tsyringe";

/** Where plug-ins of a kind are published: `--adapter tip` is `@atlas-tv/adapters-tip`. */
const PACKAGE_PREFIX: Readonly<Record<PluginKind, string>> = {
  backend: "@atlas-tv/backend-",
  adapter: "@atlas-tv/adapters-",
  objective: "@atlas-tv/objective-",
};

function isPlugin(value: unknown): value is Plugin {
  return typeof value === "object" && value !== null && "id" in value && "kind" in value && "register" in value && typeof value.register === "function";
}

function isMissing(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "MODULE_NOT_FOUND" || code === "ERR_MODULE_NOT_FOUND" || code === "ERR_PACKAGE_PATH_NOT_EXPORTED";
}

/** The entry of an installed package, seen from the caller's folder first, then from this package. */
function locate(name: string): string | null {
  for (const from of [join(process.cwd(), "package.json"), import.meta.url]) {
    try {
      return createRequire(from).resolve(name);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return null;
}

async function load(entry: string, where: string): Promise<Plugin> {
  const exported = (await import(pathToFileURL(entry).href)) as { plugin?: unknown };
  if (isPlugin(exported.plugin)) return exported.plugin;
  throw new InputError({ where, got: `no export "plugin" in ${entry}`, expected: "a plug-in: { id, kind, options, register }" });
}

/** Registers the plug-ins named by `--plugin`: a path, or the name of an installed package. */
export async function registerNamed(container: DependencyContainer, specifiers: readonly string[]): Promise<void> {
  for (const specifier of specifiers) {
    const isPath = specifier.startsWith(".") || specifier.startsWith("/");
    const entry = isPath ? resolve(specifier) : locate(specifier);
    if (entry === null) {
      throw new InputError({ where: `--plugin ${specifier}`, got: "no installed package of that name", expected: "a path, or an installed package", next: `npm install ${specifier}` });
    }
    try {
      (await load(entry, `--plugin ${specifier}`)).register(container);
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw new InputError({ where: `--plugin ${specifier}`, got: "nothing that can be imported there", expected: "a JavaScript module that exports a plug-in" }, { cause: error });
    }
  }
}

/**
 * The backend, adapter or objective of that name: one already registered, or an installed package that is
 * named after it.
 */
export async function findPlugin<K extends PluginKind>(container: DependencyContainer, kind: K, id: string): Promise<PluginKinds[K]> {
  if (registered(container, kind).some((candidate) => candidate.id === id)) return resolvePlugin(container, kind, id);
  const name = `${PACKAGE_PREFIX[kind]}${id}`;
  const entry = /^[a-z0-9-]+$/.test(id) ? locate(name) : null;
  if (entry === null) {
    const known = registered(container, kind).map((candidate) => candidate.id);
    throw new InputError({
      where: `--${kind} ${id}`,
      got: `no ${kind} of that name`,
      expected: `one that is installed (${known.length === 0 ? "none is" : known.join(", ")}), or a package ${PACKAGE_PREFIX[kind]}<name>`,
      next: `npm install ${name}, or give your own with --plugin PATH`,
    });
  }
  const plugin = await load(entry, name);
  plugin.register(container);
  return resolvePlugin(container, kind, id);
}
