import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError, type Dataset, type ImageSource } from "@atlas-tv/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { datasetByName, memorySource, readPackedDataset, writePackedDataset } from "../src/node.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "packed-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const classNames = ["süß", "salty"];

function source(name: string, count: number): ImageSource {
  const data = Uint8Array.from({ length: count * 2 * 3 * 3 }, (_, at) => (at * 7) % 256);
  return memorySource({ name, classNames, labels: Int32Array.from({ length: count }, (_, i) => i % 2), width: 2, height: 3, channels: 3, data });
}

const dataset = (name: string): Dataset => ({
  name, classNames, templates: ["a {} thing"], augmentation: "affine", train: source("train", 5), test: source("test", 3),
});

async function contentOf({ train, test, ...about }: Dataset): Promise<unknown> {
  const of = async ({ labels, length, image }: ImageSource): Promise<unknown> => ({
    labels, images: await Promise.all(Array.from({ length }, async (_, i) => [...(await image(i)).data])),
  });
  return { ...about, train: await of(train), test: await of(test) };
}

describe("a packed data set", () => {
  it("is read back as it was, by path and by name", async () => {
    const { path, bytes } = await writePackedDataset(folder, dataset("Tastes"));
    expect(readFileSync(path)).toHaveLength(bytes);
    const want = await contentOf(dataset("Tastes"));
    expect(await contentOf(await readPackedDataset(path))).toEqual(want);
    expect(await contentOf(await datasetByName("Tastes", { folders: [folder] }))).toEqual(want);
    expect(await contentOf(await datasetByName(path))).toEqual(want);
    expect((await readPackedDataset(path, { classNames: ["a", "b"] })).train.classNames).toEqual(["a", "b"]);
  });

  it.each<[string, (path: string) => void, string]>([
    ["cut short", (path) => truncateSync(path, 60 + readFileSync(path).indexOf(10)), "cut short or changed"],
    ["of another kind", (path) => writeFileSync(path, Buffer.alloc(100, 1)), "no header"],
    ["of another version", (path) => writeFileSync(path, readFileSync(path, "latin1").replace('"version":1', '"version":9'), "latin1"), '"version"'],
  ])("is refused when %s", async (_what, damage, said) => {
    const { path } = await writePackedDataset(folder, dataset("Damaged"));
    damage(path);
    await expect(readPackedDataset(path)).rejects.toThrow(InputError);
    await expect(readPackedDataset(path)).rejects.toThrow(said);
  });

  it("of images that differ in size is not written, nor is half of it", async () => {
    const other: ImageSource = { ...source("test", 2), image: async () => ({ width: 1, height: 1, channels: 3, data: new Uint8Array(3) }) };
    await expect(writePackedDataset(folder, { ...dataset("Odd"), test: other })).rejects.toThrow("2 × 3 with 3 channels");
    expect(readdirSync(folder).filter((name) => name.startsWith("Odd"))).toEqual([]);
  });
});
