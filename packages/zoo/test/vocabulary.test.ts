import { describe, expect, it } from "vitest";
import { WordTokenizer } from "@atlas-tv/clip";
import { buildVocabulary, captionWords } from "../build/vocabulary.js";

const phrases = [
  { text: "a picture of boots", rank: 0 },
  { text: "a photo of a dress", rank: 0 },
  { text: "zebra", rank: 1 },
  { text: "yak", rank: 1 },
  { text: "yak wool", rank: 1 },
];

describe("a word vocabulary", () => {
  it("is ordered by rank, number of phrases and alphabet, in whatever order the phrases come", () => {
    const { words } = buildVocabulary(phrases, 100);
    expect(words).toEqual(["a", "of", "boots", "dress", "photo", "picture", "yak", "wool", "zebra"]);
    expect(buildVocabulary([...phrases].reverse(), 100).words).toEqual(words);
  });

  it("keeps preferred words that occur, and no others, when it is cut", () => {
    expect(buildVocabulary(phrases, 3, ["zebra", "pullover"]).words).toEqual(["zebra", "a", "of"]);
  });

  it("knows a text where it has all its words", () => {
    const vocabulary = buildVocabulary(phrases, 100);
    expect(vocabulary.has("A photo of a yak.")).toBe(true);
    expect(vocabulary.has("a photo of a pullover")).toBe(false);
  });

  it("reads texts as the tokenizer does", () => {
    const texts = ["T-Shirt/top", "a photo of the number: \"7\".", "São Tomé", "woman's"];
    for (const text of texts) expect(captionWords(text)).toEqual([...WordTokenizer.fromTexts([text], 9).words].sort((a, b) => captionWords(text).indexOf(a) - captionWords(text).indexOf(b)));
  });
});
