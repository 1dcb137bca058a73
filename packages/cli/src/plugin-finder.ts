import { extname, isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { InputError, registered, resolvePlugin, type Plugin, type PluginKind, type PluginKinds } from "@atlas-tv/core";
import type { DependencyContainer, InjectionToken } from "tsyringe";
import { pathKind } from "./path-kind.js";
import { packageEntry } from "./plugin-package.js";
import type { Preset } from "./recipes.js";

interface KindOfPlugin {
  /** The flag that names one. */
  readonly flag: string;
  /** Where they are published: `--adapter tip` is `@atlas-tv/adapters-tip`. */
  readonly prefix: string;
  /** The names of this project's own. */
  readonly ours: readonly string[];
}

const KINDS: Readonly<Record<PluginKind, KindOfPlugin>> = {
  backend: { flag: "--backend", prefix: "@atlas-tv/backend-", ours: ["cpu", "cuda", "webgpu"] },
  adapter: { flag: "--adapter", prefix: "@atlas-tv/adapters-", ours: ["lpp", "tip"] },
  objective: { flag: "--objective", prefix: "@atlas-tv/objective-", ours: [] },
  unsupervised: { flag: "--objective", prefix: "@atlas-tv/objective-", ours: ["ufm"] },
  composition: { flag: "--composition", prefix: "@atlas-tv/peft-", ours: ["partition"] },
};

/** The plug-in objects themselves, whose schemas check options. */
const PLUGIN: InjectionToken<Plugin> = Symbol.for("atlas-tv.cli.plugin");

/** What keeps a module's export from being a plug-in; null where nothing does. */
function faultOf(value: unknown): string | null {
  if (typeof value !== "object" || value === null) return `an export "plugin" that is ${value === null ? "null" : `a ${typeof value}`}`;
  const { id, kind, register, options } = value as Readonly<Record<keyof Plugin, unknown>>;
  if (typeof id !== "string" || id === "") return "a plug-in without an id";
  if (typeof kind !== "string" || !Object.hasOwn(KINDS, kind)) return `a plug-in of ${typeof kind === "string" ? `kind "${kind}"` : "no kind"}`;
  if (typeof register !== "function") return "a plug-in without a function register(container)";
  const parses = typeof options === "object" && options !== null && "safeParse" in options && typeof options.safeParse === "function";
  return parses ? null : "a plug-in without options, the zod schema that checks them";
}

/** Registers a plug-in, and keeps it for `checkedOptions`. */
export function addPlugin(container: DependencyContainer, plugin: Plugin): void {
  plugin.register(container);
  container.register(PLUGIN, { useValue: plugin });
}

/** The options that a schema of an object names. */
function namesOf(schema: Plugin["options"]): string[] {
  const shape = "shape" in schema ? schema.shape : null;
  return typeof shape === "object" && shape !== null ? Object.keys(shape) : [];
}

/**
 * Options of a plug-in as its schema has them, the preset's and then the defaults filled in.
 * @throws InputError naming the option at fault.
 */
export function checkedOptions(
  container: DependencyContainer,
  kind: PluginKind,
  id: string,
  asked: Readonly<Record<string, unknown>>,
  preset: Preset = "default",
): Readonly<Record<string, unknown>> {
  const plugins = container.isRegistered(PLUGIN) ? container.resolveAll(PLUGIN) : [];
  const plugin = plugins.find((candidate) => candidate.kind === kind && candidate.id === id);
  if (plugin === undefined) return asked;
  const { options: schema, presets = {} } = plugin;
  const given = { ...(preset === "default" ? {} : presets[preset]), ...asked };
  const where = `${KINDS[kind].flag}-options of ${id}`;
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = issue?.path.join(".") ?? "";
    const names = namesOf(schema);
    throw new InputError({
      where,
      got: `${path === "" ? "" : `"${path}": `}${issue?.message ?? "not as its schema says"}`,
      expected: `options of the ${kind} "${id}"${names.length === 0 ? "" : `: ${names.join(", ")}`}`,
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
    const [, absent] = /^Cannot find package '([^']+)'/.exec(cause instanceof Error ? cause.message : "") ?? [];
    throw new InputError(
      {
        where,
        got: `${entry} does not load (${got})`,
        expected: "a JavaScript module that exports a plug-in",
        ...(absent === undefined ? {} : { next: `npm install ${absent} in the module's own folder: what it imports is looked for from there` }),
      },
      { cause },
    );
  }
  const fault = exported.plugin === undefined ? 'no export "plugin"' : faultOf(exported.plugin);
  if (fault === null) return exported.plugin as Plugin;
  throw new InputError({
    where,
    got: `${fault} in ${entry}`,
    expected: `a plug-in: { id, kind, options, register }, its kind one of ${Object.keys(KINDS).join(", ")}`,
  });
}

/** Extensions that tell the path of a module from the name of a package. */
const SCRIPT = /^\.[cm]?[jt]s$/;

/** The module a `--plugin` stands for: a file, or an installed package. */
function entryOf(specifier: string): string {
  const where = `--plugin ${specifier}`;
  if (
    isAbsolute(specifier) ||
    /^\.{1,2}([/\\]|$)/.test(specifier) ||
    pathKind(specifier) === "file"
  ) {
    const path = resolve(specifier);
    const kind = pathKind(path);
    if (kind === "file") return path;
    const got = kind === "folder" ? "a folder" : "no file at that path";
    throw new InputError({ where, got, expected: "a JavaScript module that exports a plug-in" });
  }
  const entry = packageEntry(specifier);
  if (entry !== null) return entry;
  throw new InputError({
    where,
    got: "neither a file nor an installed package of that name",
    expected: "the path of a module, or an installed package",
    next: SCRIPT.test(extname(specifier)) ? "give the path of the file, from the folder you are in" : `npm install ${specifier}`,
  });
}

/** Registers the plug-ins named by `--plugin`: a path, or the name of an installed package. */
export async function registerNamed(container: DependencyContainer, specifiers: readonly string[]): Promise<void> {
  for (const specifier of specifiers) {
    const where = `--plugin ${specifier}`;
    const plugin = await load(entryOf(specifier), where);
    const before = registered(container, plugin.kind).length;
    addPlugin(container, plugin);
    if (registered(container, plugin.kind).length > before) continue;
    throw new InputError({
      where,
      got: `a plug-in "${plugin.id}" whose register() adds no ${plugin.kind}`,
      expected: `container.register(TOKENS.${plugin.kind}, { useValue: … }), with TOKENS of @atlas-tv/core`,
    });
  }
}

/** A plug-in of this project's own that is not there, or does not load. */
export interface AbsentPlugin {
  readonly id: string;
  /** What is missing, and how to get it. */
  readonly missing: string;
}

/** Registers this project's plug-ins of a kind, as far as they are installed. @returns those that are not. */
export async function registerOwn(container: DependencyContainer, kind: PluginKind): Promise<AbsentPlugin[]> {
  const { prefix, ours } = KINDS[kind];
  const known = new Set(registered(container, kind).map(({ id }) => id));
  const absent: AbsentPlugin[] = [];
  for (const id of ours.filter((name) => !known.has(name))) {
    const entry = packageEntry(prefix + id);
    try {
      if (entry === null) absent.push({ id, missing: `the package: npm install ${prefix}${id}` });
      else addPlugin(container, await load(entry, prefix + id));
    } catch (error) {
      absent.push({ id, missing: error instanceof Error ? error.message : String(error) });
    }
  }
  return absent;
}

/**
 * The plug-in of that kind and name: one already registered, or an installed package that is named after it.
 * @param where what asks for it, for the message; default the flag of that kind.
 * @throws InputError that lists what is installed and what could be.
 */
export async function findPlugin<K extends PluginKind>(
  container: DependencyContainer,
  kind: K,
  id: string,
  where = `${KINDS[kind].flag} ${id}`,
): Promise<PluginKinds[K]> {
  const known = registered(container, kind).map((candidate) => candidate.id);
  if (known.includes(id)) return resolvePlugin(container, kind, id);
  const { prefix, ours } = KINDS[kind];
  const entry = /^[a-z0-9-]+$/.test(id) ? packageEntry(prefix + id) : null;
  if (entry === null) {
    const others = ours.filter((name) => !known.includes(name));
    const installed = [...known, ...others.filter((name) => packageEntry(prefix + name) !== null)];
    const more = others.filter((name) => !installed.includes(name)).map((name) => prefix + name);
    throw new InputError({
      where,
      got: `no ${kind} "${id}" is installed`,
      expected: `one that is installed: ${installed.length === 0 ? "none is" : installed.join(", ")}`,
      next: ours.includes(id)
        ? `npm install ${prefix}${id}`
        : `install a package ${prefix}<name>${more.length === 0 ? "" : ` (this project's: ${more.join(", ")})`}, or give your own with --plugin PATH`,
    });
  }
  const plugin = await load(entry, prefix + id);
  if (plugin.kind !== kind) {
    throw new InputError({ where, got: `${prefix + id}, a plug-in of kind ${plugin.kind}`, expected: `one of kind ${kind}` });
  }
  addPlugin(container, plugin);
  return resolvePlugin(container, kind, id);
}
