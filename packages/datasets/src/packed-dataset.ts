import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { InputError, type Dataset, type ImageSource } from "@atlas-tv/core";
import { z } from "zod";
import type { DatasetOptions } from "./dataset-options.js";
import { memorySource } from "./sources.js";

const FORMAT = "atlas-dataset";
const VERSION = 1;
const SUFFIX = ".dataset";
const NEWLINE = 10;

/** A header is a line of text before the pixels; a file without one that early is none of ours. */
const HEADER_LIMIT = 1 << 20;

const side = z.int().positive().max(4096);

const headerSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  name: z.string().min(1),
  classNames: z.array(z.string()).min(1).max(2 ** 16),
  templates: z.array(z.string()),
  augmentation: z.enum(["none", "crop-flip", "affine"]),
  width: side,
  height: side,
  channels: z.union([z.literal(1), z.literal(3)]),
  train: z.int().nonnegative(),
  test: z.int().nonnegative(),
});

type Header = z.infer<typeof headerSchema>;

/** The file of a data set in a folder. */
export function packedDatasetPath(folder: string, name: string): string {
  return join(folder, name + SUFFIX);
}

function headerOf(bytes: Buffer, path: string): { header: Header; end: number } {
  const expected = `a packed data set (${FORMAT}, version ${VERSION})`;
  const end = bytes.subarray(0, HEADER_LIMIT).indexOf(NEWLINE);
  let value: unknown = null;
  try {
    value = JSON.parse(bytes.toString("utf8", 0, Math.max(0, end)));
  } catch {
    // No JSON is no header either.
  }
  const parsed = headerSchema.safeParse(value);
  if (parsed.success) return { header: parsed.data, end: end + 1 };
  const [issue] = parsed.error.issues;
  throw new InputError({
    where: path,
    got: value === null ? "no header" : `a header whose field "${issue?.path.join(".") ?? ""}" is wrong: ${issue?.message ?? ""}`,
    expected,
    next: "docs/formats.md describes the format",
  });
}

/**
 * A data set of equally large images in one file, all of it in memory.
 * @throws InputError when the file is another kind of file, or its size is not what its header says.
 */
export async function readPackedDataset(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const bytes = await readFile(path);
  const { header, end } = headerOf(bytes, path);
  const { name, width, height, channels, train, test } = header;
  const { classNames = header.classNames, templates = header.templates, augmentation = header.augmentation } = options;
  const pixels = end + 2 * (train + test);
  const image = width * height * channels;
  const size = pixels + (train + test) * image;
  if (bytes.byteLength !== size) {
    throw new InputError({
      where: path,
      got: `${bytes.byteLength} bytes`,
      expected: `${size} for ${train + test} images, as the header says`,
      next: "the file was cut short or changed: write it again",
    });
  }
  const part = (title: string, from: number, count: number): ImageSource =>
    memorySource({
      name: `${name} ${title}`,
      classNames,
      labels: Int32Array.from({ length: count }, (_, index) => bytes.readUInt16LE(end + 2 * (from + index))),
      width,
      height,
      channels,
      data: bytes.subarray(pixels + from * image, pixels + (from + count) * image),
    });
  return { name, classNames, templates, augmentation, train: part("train", 0, train), test: part("test", train, test) };
}

/**
 * Writes a data set whose images all have one size, and one or three channels, to `<folder>/<name>.dataset`; the file
 * appears whole or not at all.
 * @throws InputError for an image of another size, or with transparency or a palette.
 */
export async function writePackedDataset(folder: string, dataset: Dataset): Promise<{ path: string; bytes: number }> {
  const { name, classNames, templates, augmentation = "crop-flip", train, test } = dataset;
  const first = await (train.length > 0 ? train : test).image(0);
  const { width, height, channels } = first;
  const header = { format: FORMAT, version: VERSION, name, classNames, templates, augmentation, width, height, channels, train: train.length, test: test.length };
  const parsed = headerSchema.safeParse(header);
  if (!parsed.success) {
    throw new InputError({ where: `data set "${name}"`, got: parsed.error.issues[0]?.message ?? "", expected: "gray or RGB images and class names" });
  }
  const labels = Buffer.alloc(2 * (train.length + test.length));
  [...train.labels, ...test.labels].forEach((label, index) => labels.writeUInt16LE(label, 2 * index));
  const path = packedDatasetPath(folder, name);
  const unfinished = `${path}.${process.pid}.unfinished`;
  await mkdir(folder, { recursive: true });
  try {
    const file = await open(unfinished, "w");
    let bytes = 0;
    try {
      for (const chunk of [Buffer.from(`${JSON.stringify(parsed.data)}\n`), labels]) bytes += (await file.write(chunk)).bytesWritten;
      for (const source of [train, test]) {
        for (let index = 0; index < source.length; index++) {
          const image = await source.image(index);
          if (image.width !== width || image.height !== height || image.channels !== channels || image.palette !== undefined) {
            throw new InputError({
              where: `image ${index} of ${source.name}`,
              got: `${image.width} × ${image.height} with ${image.channels} channels${image.palette === undefined ? "" : " and a palette"}`,
              expected: `${width} × ${height} with ${channels} channels, as the first image`,
            });
          }
          bytes += (await file.write(image.data)).bytesWritten;
        }
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
    return { path, bytes };
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

/** Names of the packed data sets in a folder, in alphabetical order; none where there is no folder. */
export function packedDatasetNames(folder: string): string[] {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return [];
  return readdirSync(folder).filter((file) => file.endsWith(SUFFIX)).map((file) => file.slice(0, -SUFFIX.length)).sort();
}

/** The packed data set of that name in the first of the folders that has one, or null. */
export function findPackedDataset(name: string, folders: readonly string[]): string | null {
  return folders.map((folder) => packedDatasetPath(folder, name)).find((path) => existsSync(path)) ?? null;
}
