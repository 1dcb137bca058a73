import { describe, expect, it } from "vitest";
import { Random } from "@atlas-tv/core";
import { splitEmoji, wordsOf, type EmojiIdentity } from "../src/emoji-catalogue.js";
import { countryOf } from "../src/emoji-flags.js";
import { splitFamilies, type FontFamily } from "../src/glyph-fonts.js";

const family = (id: string, subsets: readonly string[]): FontFamily => ({
  id, kin: id.split("-")[0]!, licence: "OFL-1.1", subsets: ["latin", ...subsets], faces: [{ weight: 400, style: "normal" }], folder: "",
});

const families = Array.from({ length: 60 }, (_, n) => n).flatMap((n) => [
  family(`font${n}`, n % 3 === 0 ? ["greek", "cyrillic"] : n % 3 === 1 ? ["cyrillic"] : []),
  ...(n % 10 === 0 ? [family(`font${n}-mono`, ["greek"])] : []),
]);

const identities = Array.from({ length: 300 }, (_, n): EmojiIdentity => ({
  code: (0x1f300 + n).toString(16).toUpperCase(), name: `thing ${n}`, keywords: [], category: "objects", subcategory: n < 40 ? "clothing" : `kind ${n % 13}`, files: {},
}));

describe("a split of font families", () => {
  const split = splitFamilies(families, new Random(3));
  const parts = [split.pretraining, split.taskTraining, split.taskTest];

  it("puts every family in one part", () => {
    const ids = parts.flatMap((part) => part.map(({ id }) => id));
    expect(ids.sort()).toEqual(families.map(({ id }) => id).sort());
  });

  it("keeps relatives together", () => {
    for (const { id, kin } of families) {
      const homes = parts.filter((part) => part.some((member) => member.kin === kin));
      expect(homes, id).toHaveLength(1);
    }
  });

  it("gives every part its share of Greek", () => {
    const greek = parts.map((part) => part.filter(({ subsets }) => subsets.includes("greek")).length);
    const all = greek.reduce((sum, count) => sum + count, 0);
    [0.5, 0.3, 0.2].forEach((share, part) => expect(Math.abs(greek[part]! - share * all)).toBeLessThanOrEqual(2));
  });

  it("depends on the seed, not on the order of the families", () => {
    expect(splitFamilies([...families].reverse(), new Random(3))).toEqual(split);
    expect(splitFamilies(families, new Random(4))).not.toEqual(split);
  });
});

describe("a split of emoji", () => {
  const split = splitEmoji(identities, new Random(3));

  it("puts every identity in one part and all clothing in pre-training", () => {
    const codes = [split.pretraining, split.taskTraining, split.taskTest].flatMap((part) => part.map(({ code }) => code));
    expect(codes.sort()).toEqual(identities.map(({ code }) => code).sort());
    expect(split.pretraining.filter(({ subcategory }) => subcategory === "clothing")).toHaveLength(40);
    expect(split.taskTest.length).toBeGreaterThan(0);
  });

  it("depends on the seed, not on the order of the identities", () => {
    expect(splitEmoji([...identities].reverse(), new Random(3)).taskTest.map(({ code }) => code).sort()).toEqual(split.taskTest.map(({ code }) => code).sort());
    expect(splitEmoji(identities, new Random(4)).taskTest).not.toEqual(split.taskTest);
  });
});

it("a flag's code points spell its country", () => {
  expect(countryOf({ code: "1F1EB-1F1F7" })).toBe("fr");
  expect(countryOf({ code: "1F600" })).toBeNull();
  expect(countryOf({ code: "1F3F4-1F3F3" })).toBeNull();
});

it("names are read as words without accents or signs", () => {
  expect(wordsOf("flag: São Tomé & Príncipe")).toEqual(["flag", "sao", "tome", "principe"]);
  expect(wordsOf("woman’s T-Shirt")).toEqual(["womans", "t", "shirt"]);
});
