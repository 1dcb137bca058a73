import { describe, expect, it } from "vitest";
import { InputError } from "@atlas-tv/core";
import { classPromptNames, classPrompts } from "../src/index.js";

/** Data set, number of classes, number of templates, first and last class: as the data sets and CLIP's prompts are published. */
const PUBLISHED = [
  ["Cars", 196, 8, "AM General Hummer SUV 2000", "smart fortwo Convertible 2012"],
  ["DTD", 47, 8, "banded", "zigzagged"],
  ["EuroSAT", 10, 3, "annual crop land", "lake or sea"],
  ["GTSRB", 43, 3, "red and white circle 20 kph speed limit", "white circle with gray strike bar indicating no passing for trucks has ended"],
  ["MNIST", 10, 1, "0", "9"],
  ["RESISC45", 45, 18, "airplane", "wetland"],
  ["SUN397", 397, 2, "abbey", "youth hostel"],
  ["SVHN", 10, 1, "0", "9"],
  ["CIFAR10", 10, 18, "airplane", "truck"],
  ["CIFAR100", 100, 18, "apple", "worm"],
  ["ImageNet", 1000, 80, "tench", "toilet paper"],
  ["STL10", 10, 2, "airplane", "truck"],
  ["Food101", 101, 1, "apple pie", "waffles"],
  ["Caltech101", 101, 34, "off-center face", "yin and yang symbol"],
  ["Caltech256", 257, 34, "ak47", "clutter"],
  ["FGVCAircraft", 100, 2, "707-320", "Yak-42"],
  ["Flowers102", 102, 1, "pink primrose", "blackberry lily"],
  ["OxfordIIITPet", 37, 1, "Abyssinian", "yorkshire terrier"],
  ["CUB200", 200, 1, "Black footed Albatross", "Common Yellowthroat"],
  ["PascalVOC", 20, 1, "aeroplane", "tvmonitor"],
  ["Country211", 211, 5, "Andorra", "Zimbabwe"],
  ["UCF101", 101, 48, "Apply Eye Makeup", "Yo Yo"],
] as const;

/** Published as they are: CLIP's names call two pairs of ImageNet's classes alike. */
const REPEATED: Readonly<Record<string, number>> = { ImageNet: 2 };

/** Data sets whose labels follow the alphabet of their class folders. */
const ALPHABETICAL = ["DTD", "RESISC45", "SUN397", "Food101", "CIFAR100", "PascalVOC", "UCF101", "OxfordIIITPet"];

describe("classPrompts", () => {
  it("knows the 22 data sets of the paper and no others", () => {
    expect(classPromptNames().sort()).toEqual(PUBLISHED.map(([name]) => name).sort());
  });

  it.each(PUBLISHED)("has the classes and templates of %s: %i and %i", async (name, classes, templates, first, last) => {
    const prompts = await classPrompts(name);
    expect(prompts.name).toBe(name);
    expect(prompts.classNames).toHaveLength(classes);
    expect(prompts.templates).toHaveLength(templates);
    expect([prompts.classNames[0], prompts.classNames.at(-1)]).toEqual([first, last]);
  });

  it.each(PUBLISHED)("has clean texts for %s, and says where they are from", async (name) => {
    const { classNames, templates, source, order } = await classPrompts(name);
    for (const text of [...classNames, ...templates]) expect(text.trim()).toBe(text);
    for (const template of templates) expect(template.split("{}"), template).toHaveLength(2);
    expect(new Set(templates).size).toBe(templates.length);
    expect(classNames.length - new Set(classNames).size).toBe(REPEATED[name] ?? 0);
    expect(source).toMatch(/https:\/\/[^]*(MIT|CC BY)/);
    expect(order).not.toBe("");
  });

  it.each(ALPHABETICAL)("lists %s in the order of its labels, which is that of the alphabet", async (name) => {
    const keys = (await classPrompts(name)).classNames.map((text) => text.toLowerCase().replaceAll(" ", "_"));
    expect(keys).toEqual([...keys].sort());
  });

  it("lists EuroSAT in the order of its class folders, not in that of the published prompts", async () => {
    expect((await classPrompts("EuroSAT")).classNames).toEqual([
      "annual crop land", "forest", "brushland or shrubland", "highway or road", "industrial buildings or commercial buildings",
      "pasture land", "permanent crop land", "residential buildings or homes or apartments", "river", "lake or sea",
    ]);
  });

  it("takes a name in any capitals", async () => {
    expect((await classPrompts("oxford-iiit_pet")).name).toBe("OxfordIIITPet");
  });

  it("names the data sets there are", async () => {
    await expect(classPrompts("Birds")).rejects.toThrow(InputError);
    await expect(classPrompts("toString")).rejects.toThrow(/CUB200/);
  });
});
