import { expect, it } from "vitest";
import { ImageAdder } from "../src/image-adder.js";
import type { FoundImage } from "../src/image-intake.js";
import { PictureSet } from "../src/picture-set.js";

const found = (name: string, folders: readonly string[] = []): FoundImage => ({ name, folders, blob: new Blob() });

/** An adder for which files called `….txt` are no images. */
function adderOf(set: PictureSet, tell: (message: string) => void = () => undefined): ImageAdder {
  const check = (_blob: Blob, name: string): Promise<void> => (name.endsWith(".txt") ? Promise.reject(new Error(`${name} is no image`)) : Promise.resolve());
  return new ImageAdder({ set, check, rule: () => "learning", tell });
}

it("images are in the set when all have been looked at, and not before", async () => {
  const set = new PictureSet();
  const { id } = set.addClass("cat");
  const seen: [string, boolean, number][] = [];
  const adder = adderOf(set, (message) => { seen.push([message, adder.isLooking, set.classes[0]!.pictures.length]); });
  await adder.addTo(id, [found("1.png"), found("2.png")]);
  expect(seen).toEqual([["Looking at 2 images …", true, 0], ["2 images added.", false, 2]]);
});

it("files that are no images are named, the first three of them, and the others are added", async () => {
  const set = new PictureSet();
  const { id } = set.addClass("cat");
  const files = ["a.txt", "1.png", "b.txt", "c.txt", "d.txt", "e.txt"].map((name) => found(name));
  await expect(adderOf(set).addTo(id, files)).rejects.toThrow("a.txt is no image\nb.txt is no image\nc.txt is no image\nand 2 more files that are no images");
  expect(set.classes[0]!.pictures.map(({ name }) => name)).toEqual(["1.png"]);
});

it("a folder of classes makes its classes, and one without them is refused", async () => {
  const set = new PictureSet();
  await adderOf(set).addFolder([found("1.png", ["pets", "train", "cat"]), found("2.png", ["pets", "test", "cat"]), found("3.png", ["pets", "train", "dog"])]);
  expect(set.classNames).toEqual(["cat", "dog"]);
  expect(set.labelled("checking").map(({ name }) => name)).toEqual(["2.png"]);
  await expect(adderOf(set).addFolder([found("1.png", ["pets"])])).rejects.toThrow("no folder of classes");
});
