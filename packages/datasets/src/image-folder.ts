import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, extname, join, resolve } from "node:path";
import { InputError, Random, type Dataset, type ImageSource } from "@atlas-tv/core";
import type { DatasetOptions } from "./dataset-options.js";
import { readEncoded, readImage } from "./image-file.js";
import { cachedSource, subset } from "./sources.js";
import { splitEveryClass } from "./split.js";

const EXTENSIONS = new Set([".png", ".jpg", ".jpeg"]);
/** Files that systems leave in folders of pictures. */
const IGNORED = new Set(["thumbs.db", "desktop.ini"]);
/** Share of every class that becomes the test set of a folder without one. */
const TEST_SHARE = 0.2;
const TEMPLATES = ["a photo of a {}."];

export interface ImageFolderOptions extends DatasetOptions {
  /** Default the folder's own name. */
  readonly name?: string;
  /** Bytes of decoded images kept in memory, for each part. */
  readonly cacheBytes?: number;
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function visibleEntries(folder: string): string[] {
  return readdirSync(folder).filter((entry) => !entry.startsWith(".") && !IGNORED.has(entry.toLowerCase())).sort(byName);
}

/** Whether a path is that of a folder; nothing, or a link that leads nowhere, is none. */
export function isFolder(path: string): boolean {
  // Below a file there is nothing, and stat throws.
  return existsSync(path) && statSync(path).isDirectory();
}

function subfolders(folder: string): string[] {
  return visibleEntries(folder).filter((entry) => isFolder(join(folder, entry)));
}

/** Every image file below a folder, by name. A file that is none is an error, so that no picture is left out in silence. */
export async function imageFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  for (const entry of visibleEntries(folder)) {
    const path = join(folder, entry);
    if (isFolder(path)) files.push(...(await imageFiles(path)));
    else if (EXTENSIONS.has(extname(entry).toLowerCase())) files.push(path);
    else {
      await readImage(path);
      files.push(path);
    }
  }
  return files;
}

interface Part {
  readonly folder: string;
  /** Names of the class folders, in label order. */
  readonly classes: readonly string[];
  readonly classNames: readonly string[];
}

async function partSource(name: string, { folder, classes, classNames }: Part): Promise<ImageSource> {
  const paths: string[] = [];
  const labels: number[] = [];
  for (const [label, entry] of classes.entries()) {
    if (!existsSync(join(folder, entry))) continue;
    for (const path of await imageFiles(join(folder, entry))) {
      paths.push(path);
      labels.push(label);
    }
  }
  const pathOf = (index: number): string => {
    const path = paths[index];
    if (path !== undefined) return path;
    throw new InputError({ where: `image of ${name}`, got: `index ${index}`, expected: `0 to ${paths.length - 1}` });
  };
  return {
    name,
    length: paths.length,
    classNames,
    labels: Int32Array.from(labels),
    image: async (index) => readImage(pathOf(index)),
    encoded: async (index) => readEncoded(pathOf(index)),
  };
}

function noClasses(folder: string): InputError {
  return new InputError({
    where: folder,
    got: "no subfolder",
    expected: "one subfolder per class, with PNG or JPEG files, or train/ and test/ with such subfolders",
  });
}

function requireSameClasses(folder: string, classes: readonly string[], allowed: readonly string[]): void {
  const unknown = classes.find((entry) => !allowed.includes(entry));
  if (unknown === undefined) return;
  throw new InputError({
    where: join(folder, "test"),
    got: `a class "${unknown}"`,
    expected: `the classes of train/: ${allowed.join(", ")}`,
  });
}

/** Names of parts of a data set, which are no classes. */
const PARTS = new Set(["train", "training", "val", "valid", "validation", "test", "testing"]);

/** Parts of a data set that are not `train` and `test` would be taken for its classes. */
function refuseOtherParts(root: string, top: readonly string[]): void {
  const isDivided = top.length > 0 && top.every((entry) => PARTS.has(entry.toLowerCase()) && subfolders(join(root, entry)).length > 0);
  if (!isDivided) return;
  throw new InputError({
    where: root,
    got: `${top.map((entry) => `${entry}/`).join(" and ")}, with subfolders`,
    expected: "train/ and test/ with one subfolder per class, or those subfolders alone",
    next: `give ${join(root, top[0]!)} itself, of which a fifth is then the test set, or name the folder of test images test/`,
  });
}

/**
 * A folder of pictures: one subfolder per class, or `train` and `test` with the same subfolders. Without a test
 * folder, a fifth of every class, drawn by a fixed seed, is the test set. Labels follow the sorted folder names;
 * class names are the folder names with `_` read as a space.
 * @throws InputError when there is no such structure, parts have other names, or a class folder holds a file that is no image.
 */
export async function imageFolder(path: string, options: ImageFolderOptions = {}): Promise<Dataset> {
  const root = resolve(path);
  if (!isFolder(root)) {
    throw new InputError({ where: root, got: existsSync(root) ? "a file" : "nothing there", expected: "a folder of images" });
  }
  const { name = basename(root), templates = TEMPLATES, augmentation = "crop-flip", cacheBytes } = options;
  const top = subfolders(root);
  const divided = top.includes("train") && top.includes("test");
  if (!divided) refuseOtherParts(root, top);
  const trainFolder = divided ? join(root, "train") : root;
  const classes = subfolders(trainFolder);
  if (classes.length === 0) throw noClasses(trainFolder);
  const classNames = options.classNames ?? classes.map((entry) => entry.replaceAll("_", " "));
  if (classNames.length !== classes.length) {
    throw new InputError({
      where: `class names of "${name}"`,
      got: `${classNames.length} names`,
      expected: `${classes.length}, one per subfolder: ${classes.join(", ")}`,
    });
  }

  let train: ImageSource;
  let test: ImageSource;
  if (divided) {
    const testFolder = join(root, "test");
    requireSameClasses(root, subfolders(testFolder), classes);
    train = await partSource(`${name} train`, { folder: trainFolder, classes, classNames });
    test = await partSource(`${name} test`, { folder: testFolder, classes, classNames });
  } else {
    const all = await partSource(name, { folder: root, classes, classNames });
    const { first, second } = splitEveryClass(all.labels, TEST_SHARE, new Random(0).fork("test set"));
    train = subset(all, first, `${name} train`);
    test = subset(all, second, `${name} test`);
  }
  if (train.length === 0) {
    throw new InputError({
      where: trainFolder,
      got: "no images",
      expected: "PNG or JPEG files in the class folders",
    });
  }
  return {
    name,
    classNames,
    templates,
    augmentation,
    train: cachedSource(train, cacheBytes),
    test: cachedSource(test, cacheBytes),
  };
}
