import { describe, expect, it } from "vitest";
import { placeOf } from "../src/image-intake.js";
import { PictureSet } from "../src/picture-set.js";

const images = (count: number): { blob: Blob; name: string }[] => Array.from({ length: count }, (_, at) => ({ blob: new Blob(), name: `${at}.png` }));

describe("a set of pictures", () => {
  it("keeps every fourth image of a class for checking, however they come", () => {
    const set = new PictureSet();
    const { id } = set.addClass("cat");
    set.add(id, images(3), "automatic");
    set.add(id, images(5), "automatic");
    expect(set.classes[0]!.pictures.map(({ use }) => use)).toEqual(["learning", "learning", "learning", "checking", "learning", "learning", "learning", "checking"]);
  });

  it("gives pictures of one use with the index of their class", () => {
    const set = new PictureSet();
    const [cat, dog] = [set.addClass("cat"), set.addClass("dog")];
    set.add(dog.id, images(2), "learning");
    set.add(cat.id, images(1), "checking");
    expect(set.labelled("learning").map(({ label }) => label)).toEqual([1, 1]);
    set.toggleUse(dog.id, set.classes[1]!.pictures[0]!.id);
    expect(set.labelled("checking").map(({ label }) => label)).toEqual([0, 1]);
    set.removeClass(cat.id);
    expect(set.labelled("learning").map(({ label }) => label)).toEqual([0]);
  });

  it("says what is missing, and nothing when all is there", () => {
    const set = new PictureSet();
    expect(set.problems()).toEqual(["Make at least two classes."]);
    const [cat, other] = [set.addClass("cat"), set.addClass("cat ")];
    expect(set.problems()).toEqual([
      "Two classes are called “cat”: rename or remove one.",
      "Class “cat” has no image to learn from: add one.",
      "Class “cat” has no image to learn from: add one.",
    ]);
    set.renameClass(other.id, "dog");
    for (const { id } of [cat, other]) set.add(id, images(1), "learning");
    expect(set.problems()).toEqual([]);
    set.renameClass(other.id, " ");
    expect(set.problems()).toEqual(["Give every class a name."]);
    set.addClass();
    expect(set.problems()).toEqual(["Give every class a name.", "Class 3 has no image to learn from: add one."]);
  });

  it("tells those who watch about every change", () => {
    const set = new PictureSet();
    let changes = 0;
    set.onChange(() => { changes++; });
    const { id } = set.classNamed("cat");
    set.add(id, images(2), "learning");
    set.remove(id, set.classes[0]!.pictures[0]!.id);
    expect([changes, set.classNamed("cat").pictures.length]).toEqual([3, 1]);
  });
});

describe("classes that are put in the place of others", () => {
  it("come at once, each picture with its use", () => {
    const set = new PictureSet();
    set.add(set.addClass("cat").id, images(2), "learning");
    const seen: string[] = [];
    set.onChange(() => { seen.push(set.classNames.join()); });
    set.replace([{ name: "zero", learning: images(1), checking: images(2) }, { name: "one", learning: images(2), checking: [] }]);
    expect(seen).toEqual(["zero,one"]);
    expect(set.labelled("learning").map(({ label }) => label)).toEqual([0, 1, 1]);
    expect(set.labelled("checking").map(({ label }) => label)).toEqual([0, 0]);
    expect(set.problems()).toEqual([]);
  });
});

describe("the folders of an image", () => {
  it.each([
    [["pets", "guinea_pig"], { className: "guinea pig", use: null }],
    [["pets", "cat", "more"], { className: "cat", use: null }],
    [["pets", "train", "cat"], { className: "cat", use: "learning" }],
    [["pets", "test", "cat"], { className: "cat", use: "checking" }],
    [["pets"], null],
    [["pets", "train"], null],
    [[], null],
  ])("%j name its class and its use", (folders, place) => {
    expect(placeOf(folders)).toEqual(place);
  });
});
