import { statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { InputError, registered, resolvePlugin, type Plugin, type PluginKind, type PluginKinds } from "@atlas-tv/core";
import type { DependencyContainer, InjectionToken } from "tsyringe";
import { packageEntry } from "./plugin-package.js";

/** Where plug-ins of a kind are published, `--adapter tip` is `@atlas-tv/adapters-tip`, and the names of this project's own. */
const PACKAGES: Readonly<Record<PluginKind, { readonly prefix: string; readonly ours: readonly string[] }>> = {
  backend: { prefix: "@atlas-tv/backend-", ours: ["cpu", "cuda", "webgpu"] },
  adapter: { prefix: "@atlas-tv/adapters-", ours: ["lpp", "tip"] },
  objective: { prefix: "@atlas-tv/objective-", ours: ["ufm"] },
};

/** The plug-in objects themselves, whose schemas check options. */
const PLUGIN: InjectionToken<Plugin> = Symbol.for("atlas-tv.cli.plugin");

function isPlugin(value: unknown): value is Plugin {
  return (
    typeof value === "object" &&
    value !== null &&
    "id" in value &&
    "kind" in value &&
    typeof value.kind === "string" &&
    Object.hasOwn(PACKAGES, value.kind) &&
    "register" in value &&
    typeof value.register === "function"
  );
}

/** Registers a plug-in, and keeps it for `checkedOptions`. */
export function addPlugin(container: DependencyContainer, plugin: Plugin): void {
  plugin.register(container);
  container.register(PLUGIN, { useValue: plugin });
}

/** Options of a plug-in as its schema has them, defaults filled in. @throws InputError naming the option at fault. */
export function checkedOptions(
  container: DependencyContainer,
  kind: PluginKind,
  id: string,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const plugins = container.isRegistered(PLUGIN) ? container.resolveAll(PLUGIN) : [];
  const schema = plugins.find((candidate) => candidate.kind === kind && candidate.id === id)?.options;
  if (schema === undefined) return given;
  const where = `--${kind}-options of ${id}`;
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new InputError({
      where,
      got: `"${issue?.path.join(".") ?? ""}": ${issue?.message ?? "not as its schema says"}`,
      expected: `options of the ${kind} "${id}"`,
    });
  }
  const options = parsed.data as Record<string, unknown>;
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(options, name));
  if (unknown === undefined) return options;
  throw new InputError({
    where,
    got: `an option "${unknown}"`,
    expected: Object.keys(options).length === 0 ? "no options" : `options among ${Object.keys(options).join(", ")}`,
  });
}

async function load(entry: string, where: string): Promise<Plugin> {
  let exported: { plugin?: unknown };
  try {
    exported = (await import(pathToFileURL(entry).href)) as { plugin?: unknown };
  } catch (cause) {
    const got = cause instanceof Error ? `${cause.name}: ${cause.message.split("\n")[0]}` : String(cause);
    throw new InputError(
      { where, got: `${entry} does not load (${got})`, expected: "a JavaScript module that exports a plug-in" },
      { cause },
    );
  }
  if (isPlugin(exported.plugin)) return exported.plugin;
  throw new InputError({
    where,
    got: `no export "plugin" in ${entry}`,
    expected: `a plug-in: { id, kind, options, register }, its kind one of ${Object.keys(PACKAGES).join(", ")}`,
  });
}

/** The module a `--plugin` stands for: a file, or an installed package. */
function entryOf(specifier: string): string {
  const where = `--plugin ${specifier}`;
  if (
    isAbsolute(specifier) ||
    /^\.{1,2}([/\\]|$)/.test(specifier) ||
    statSync(specifier, { throwIfNoEntry: false })?.isFile() === true
  ) {
    const path = resolve(specifier);
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) return path;
    throw new InputError({ where, got: "no file at that path", expected: "a JavaScript module that exports a plug-in" });
  }
  const entry = packageEntry(specifier);
  if (entry !== null) return entry;
  throw new InputError({
    where,
    got: "no installed package of that name",
    expected: "the path of a module, or an installed package",
    next: `npm install ${specifier}`,
  });
}

/** Registers the plug-ins named by `--plugin`: a path, or the name of an installed package. */
export async function registerNamed(container: DependencyContainer, specifiers: readonly string[]): Promise<void> {
  for (const specifier of specifiers) addPlugin(container, await load(entryOf(specifier), `--plugin ${specifier}`));
}

/**
 * The backend, adapter or objective of that name: one already registered, or an installed package that is
 * named after it.
 * @throws InputError that lists what is installed and what could be.
 */
export async function findPlugin<K extends PluginKind>(
  container: DependencyContainer,
  kind: K,
  id: string,
): Promise<PluginKinds[K]> {
  const known = registered(container, kind).map((candidate) => candidate.id);
  if (known.includes(id)) return resolvePlugin(container, kind, id);
  const { prefix, ours } = PACKAGES[kind];
  const entry = /^[a-z0-9-]+$/.test(id) ? packageEntry(prefix + id) : null;
  if (entry === null) {
    const more = ours.filter((name) => !known.includes(name)).map((name) => prefix + name);
    throw new InputError({
      where: `--${kind} ${id}`,
      got: `no ${kind} of that name`,
      expected: `one that is installed: ${known.length === 0 ? "none is" : known.join(", ")}`,
      next: `install a package ${prefix}<name> (this project's: ${more.join(", ")}), or give your own with --plugin PATH`,
    });
  }
  addPlugin(container, await load(entry, prefix + id));
  return resolvePlugin(container, kind, id);
}
