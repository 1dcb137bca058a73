import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { ADDON_PACKAGE, INSTALLED_CUDA, type CudaVersions } from "./tensorflow-release.js";

/** Names the folder of runtimes; set by tests, by a checkout's scripts, or by you. */
export const RUNTIME_VARIABLE = "ATLAS_CUDA_RUNTIME";

/** Kinds of runtime that `setUpRuntime` makes, the first that is there is used. */
export const BUILT_KINDS = ["linked", "cuda", "cpu"] as const;
export type BuiltKind = (typeof BUILT_KINDS)[number];

/** The file that says what a runtime is; a folder without one is unfinished. */
export const RUNTIME_FILE = "runtime.json";

/** What `runtime.json` holds. Paths are relative to its folder, or absolute for a TensorFlow that was there before. */
export const runtimeSchema = z.object({
  schema: z.literal(1),
  kind: z.enum(BUILT_KINDS),
  tensorflow: z.string(),
  /** Version of the npm package whose sources were built. */
  addonVersion: z.string(),
  addon: z.string(),
  /** TensorFlow's shared libraries. */
  libraries: z.array(z.string()),
  /** What TensorFlow was built with; null for a build for the CPU alone, absent where that is not known. */
  cuda: z.object({ cuda: z.string(), cudnn: z.string() }).nullable().optional(),
});
export type RuntimeFacts = z.infer<typeof runtimeSchema>;

/** TensorFlow and the addon built against it, on this machine; paths are absolute. */
export interface Runtime {
  readonly kind: BuiltKind | "installed";
  readonly folder: string;
  readonly tensorflow: string;
  readonly addonVersion: string;
  readonly addon: string;
  readonly libraries: readonly string[];
  readonly cuda?: CudaVersions | null;
}

/** The folder of runtimes: `ATLAS_CUDA_RUNTIME`, or one in the user's cache. */
export function runtimeFolder(): string {
  const named = process.env[RUNTIME_VARIABLE];
  if (named !== undefined && named !== "") return named;
  const cache = process.env["XDG_CACHE_HOME"];
  return join(cache === undefined || cache === "" ? join(homedir(), ".cache") : cache, "atlas-tv", "cuda-runtime");
}

/** The installed npm package with the addon's sources, or null. */
export function addonPackage(): { readonly folder: string; readonly version: string } | null {
  try {
    const manifest = createRequire(import.meta.url).resolve(`${ADDON_PACKAGE}/package.json`);
    return { folder: dirname(manifest), version: (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version };
  } catch {
    return null;
  }
}

/** A finished runtime in a folder, or null: unfinished, of another version of this format, or none. */
export function readRuntime(folder: string): Runtime | null {
  const path = join(folder, RUNTIME_FILE);
  if (!existsSync(path)) return null;
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
  const parsed = runtimeSchema.safeParse(json);
  if (!parsed.success) return null;
  const { kind, tensorflow, addonVersion, addon, libraries, cuda } = parsed.data;
  return {
    kind, folder, tensorflow, addonVersion,
    addon: join(folder, addon),
    libraries: libraries.map((library) => (library.startsWith("/") ? library : join(folder, library))),
    ...(cuda === undefined ? {} : { cuda }),
  };
}

/** What the npm package's own install script made, where it was allowed to run and to download. */
function installedRuntime(): Runtime | null {
  const found = addonPackage();
  if (found === null) return null;
  const addon = join(found.folder, "lib", "napi-v8", "tfjs_binding.node");
  if (!existsSync(addon)) return null;
  const libraries = ["libtensorflow.so.2", "libtensorflow_framework.so.2"].map((name) => join(found.folder, "deps", "lib", name));
  return { kind: "installed", folder: found.folder, tensorflow: "2.9", addonVersion: found.version, addon, libraries, cuda: INSTALLED_CUDA };
}

/** The runtime to use from a folder of runtimes; failing that, the npm package's own. */
export function findRuntime(folder = runtimeFolder()): Runtime | null {
  for (const kind of BUILT_KINDS) {
    const runtime = readRuntime(join(folder, kind));
    if (runtime !== null) return runtime;
  }
  return installedRuntime();
}
