import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { encode } from "fast-png";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { imageFolder, readImage } from "../src/node.js";

let root: string;
beforeEach(() => { root = mkdtempSync(join(tmpdir(), "atlas-folder-")); });
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, bytes: Uint8Array | string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), bytes);
}

const png = (value: number): Uint8Array => encode({ width: 4, height: 4, channels: 1, depth: 8, data: new Uint8Array(16).fill(value) });
const values = async (source: Awaited<ReturnType<typeof imageFolder>>["train"]): Promise<number[]> =>
  Promise.all(Array.from({ length: source.length }, async (_, i) => (await source.image(i)).data[0]!));

describe("imageFolder", () => {
  it("reads train and test, labels by sorted folder names, underscores as spaces", async () => {
    put("test/sea_cow/x.png", png(9));
    put("train/sea_cow/b.png", png(2));
    put("train/sea_cow/a.png", png(1));
    put("train/ant/deep/c.PNG", png(3));
    put("train/ant/.hidden", "not an image");
    const data = await imageFolder(root);
    expect(data.classNames).toEqual(["ant", "sea cow"]);
    expect([...data.train.labels]).toEqual([0, 1, 1]);
    expect(await values(data.train)).toEqual([3, 1, 2]);
    expect([...data.test.labels]).toEqual([1]);
    expect(await values(data.test)).toEqual([9]);
  });

  it("holds out a fifth of every class when there is no test folder, the same one each time", async () => {
    for (let i = 0; i < 10; i++) {
      put(`ant/${i}.png`, png(i));
      put(`bee/${i}.png`, png(100 + i));
    }
    const data = await imageFolder(root);
    expect([...data.test.labels]).toEqual([0, 0, 1, 1]);
    const all = [...(await values(data.train)), ...(await values(data.test))].sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: 20 }, (_, i) => (i < 10 ? i : 90 + i)));
    expect(await values((await imageFolder(root)).test)).toEqual(await values(data.test));
  });

  it("reads JPEG files, gray ones as gray, without turning them", async () => {
    const red = { create: { width: 6, height: 4, channels: 3 as const, background: { r: 255, g: 0, b: 0 } } };
    put("a.jpg", await sharp(red).withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toBuffer());
    put("b.jpg", await sharp(red).toColourspace("b-w").jpeg().toBuffer());
    const colour = await readImage(join(root, "a.jpg"));
    expect([colour.width, colour.height, colour.channels]).toEqual([6, 4, 3]);
    expect(colour.data[0]).toBeGreaterThan(250);
    expect(colour.data[1]).toBeLessThan(5);
    expect((await readImage(join(root, "b.jpg"))).channels).toBe(1);
  });

  it("decodes by content, whatever the name says", async () => {
    put("really-a-png.jpg", png(7));
    expect((await readImage(join(root, "really-a-png.jpg"))).data[0]).toBe(7);
  });

  it("names a file that is not an image and what it starts with", async () => {
    put("ant/1.png", "hello, world");
    put("ant/2.png", Uint8Array.of(0x47, 0x49, 0x46, 0x00));
    put("ant/3.png", "");
    const { train } = await imageFolder(root, { name: "ants" });
    const message = (name: string): Promise<unknown> => readImage(join(root, name)).catch((error: Error) => error.message);
    const messages = await Promise.all(["ant/1.png", "ant/2.png", "ant/3.png"].map(message));
    expect(messages[0]).toMatch(/1\.png[\s\S]*starts with "hello, world"[\s\S]*PNG or JPEG/);
    expect(messages[1]).toMatch(/starts with 47 49 46 00/);
    expect(messages[2]).toMatch(/an empty file/);
    await expect(train.image(0)).rejects.toThrow(/a PNG or JPEG image/);
  });

  it("says so when a JPEG is cut off", async () => {
    const whole = await sharp({ create: { width: 64, height: 64, channels: 3, background: "#468" } }).jpeg().toBuffer();
    put("cut.jpg", whole.subarray(0, whole.length / 2));
    await expect(readImage(join(root, "cut.jpg"))).rejects.toThrow(/cut\.jpg[\s\S]*damaged JPEG/);
  });

  it("does not pass over a file of another kind among the images", async () => {
    put("ant/1.png", png(1));
    put("ant/notes.txt", "buy honey");
    await expect(imageFolder(root)).rejects.toThrow(/notes\.txt[\s\S]*"buy honey"/);
  });

  it("names a link that leads nowhere", async () => {
    put("ant/1.png", png(1));
    symlinkSync(join(root, "absent"), join(root, "ant/gone"));
    await expect(imageFolder(root)).rejects.toThrow(/ant\/gone[\s\S]*no readable file/);
  });

  it.each([
    ["nothing there", "absent", () => undefined],
    ["a file", "file", () => put("file", "x")],
    ["no subfolder", "empty", () => mkdirSync(join(root, "empty"))],
    ["no images", "hollow", () => mkdirSync(join(root, "hollow/ant"), { recursive: true })],
  ])("refuses a folder where there is %s", async (got, name, prepare) => {
    prepare();
    await expect(imageFolder(join(root, name))).rejects.toThrow(`got: ${got}`);
  });

  it.each([[["train"]], [["train", "val"]], [["Training", "Test"]]])("does not take %j for the names of classes", async (parts) => {
    for (const part of parts) for (const name of ["ant", "bee"]) put(`${part}/${name}/1.png`, png(1));
    await expect(imageFolder(root)).rejects.toThrow(/with subfolders[\s\S]*train\/ and test\//);
  });

  it("has classes of such names where they hold images", async () => {
    for (const name of ["plane", "train"]) for (const i of [1, 2]) put(`${name}/${i}.png`, png(i));
    expect((await imageFolder(root)).classNames).toEqual(["plane", "train"]);
  });

  it("refuses a test class that training does not have, and class names that do not match", async () => {
    put("train/ant/1.png", png(1));
    put("test/bee/1.png", png(1));
    await expect(imageFolder(root)).rejects.toThrow(/a class "bee"[\s\S]*ant/);
    rmSync(join(root, "test/bee"), { recursive: true });
    await expect(imageFolder(root, { classNames: ["ant", "bee"] })).rejects.toThrow(/2 names[\s\S]*1, one per subfolder/);
  });
});
