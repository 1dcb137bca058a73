import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { InputError, type Dataset, type ImageSource } from "@atlas-tv/core";
import { requirePackage, type PackageOptions } from "./data-package.js";
import type { DatasetOptions } from "./dataset-options.js";
import { memorySource } from "./sources.js";

/** Ships Zalando Research's images (MIT licence) as one JSON file per class. */
export const FASHION_MNIST_PACKAGE = "fashion-mnist";

const SIDE = 28;
const BORDER = 2;

/** A seventh of every class: the file of class 0 has an empty row after its first 1,000, the size of the official test set. */
const TEST_SHARE = 7;

/** The labels of Zalando Research's data set (MIT licence). */
const CLASS_NAMES = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];

const TEMPLATES = ["a photo of a {}.", "a black and white photo of a {}."];

export interface FashionMnistOptions extends DatasetOptions, PackageOptions {}

/** The images of one class as bytes, rows that hold nothing left out. */
async function readClass(path: string): Promise<Uint8Array[]> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new InputError({
      where: path,
      got: "no readable JSON file",
      expected: "the images of one class",
      next: `install ${FASHION_MNIST_PACKAGE} again`,
    }, { cause });
  }
  const rows: unknown = typeof parsed === "object" && parsed !== null && "data" in parsed ? parsed.data : null;
  if (!Array.isArray(rows)) {
    throw new InputError({
      where: path,
      got: "no array \"data\"",
      expected: `{ "data": [[${SIDE * SIDE} values], …] }`,
    });
  }
  const images: Uint8Array[] = [];
  rows.forEach((row: unknown, index) => {
    if (Array.isArray(row) && row.length === 0) return;
    if (!Array.isArray(row) || row.length !== SIDE * SIDE) {
      throw new InputError({
        where: `${path}, row ${index}`,
        got: Array.isArray(row) ? `${row.length} values` : typeof row,
        expected: `${SIDE * SIDE} values`,
      });
    }
    images.push(Uint8Array.from(row as number[]));
  });
  return images;
}

function source(name: string, classNames: readonly string[], classes: readonly (readonly Uint8Array[])[]): ImageSource {
  const count = classes.reduce((sum, images) => sum + images.length, 0);
  const data = new Uint8Array(count * SIDE * SIDE);
  const labels = new Int32Array(count);
  let at = 0;
  classes.forEach((images, label) => {
    for (const image of images) {
      data.set(image, at * SIDE * SIDE);
      labels[at++] = label;
    }
  });
  return memorySource({ name, classNames, labels, width: SIDE, height: SIDE, channels: 1, data, border: BORDER });
}

/**
 * Fashion-MNIST: ten kinds of clothing, gray, 28 × 28 with a black border to 32 × 32. The first seventh of every
 * class is the test set: 10,000 test and 60,000 training images, class by class.
 * @throws InputError when the package is not installed (says how to install it) or its files are damaged.
 */
export async function fashionMnist(options: FashionMnistOptions = {}): Promise<Dataset> {
  const { classNames = CLASS_NAMES, templates = TEMPLATES, augmentation = "affine" } = options;
  const folder = join(requirePackage("FashionMNIST", FASHION_MNIST_PACKAGE, options), "src", "clothes");
  const train: Uint8Array[][] = [];
  const test: Uint8Array[][] = [];
  // One class after the other: parsed JSON takes ten times the memory of the pixels.
  for (let label = 0; label < CLASS_NAMES.length; label++) {
    const images = await readClass(join(folder, `${label}.json`));
    const split = Math.floor(images.length / TEST_SHARE);
    test.push(images.slice(0, split));
    train.push(images.slice(split));
  }
  return {
    name: "FashionMNIST",
    classNames,
    templates,
    augmentation,
    train: source("FashionMNIST train", classNames, train),
    test: source("FashionMNIST test", classNames, test),
  };
}
