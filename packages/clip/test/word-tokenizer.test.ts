import { describe, expect, it } from "vitest";
import { InputError } from "@atlas-tv/core";
import { WordTokenizer } from "../src/index.js";

const tokenizer = new WordTokenizer(["a", "photo", "of", "seven"], 6);
const rows = (texts: string[]): number[][] => {
  const { data, shape } = tokenizer.encode(texts);
  return Array.from({ length: shape[0]! }, (_, row) => [...data.subarray(row * shape[1]!, (row + 1) * shape[1]!)]);
};

describe("WordTokenizer", () => {
  it("frames known words, ignoring case and punctuation, and pads", () => {
    expect(rows(["A photo, of: SEVEN!", ""])).toEqual([
      [tokenizer.beginId, 1, 2, 3, 4, tokenizer.endId],
      [tokenizer.beginId, tokenizer.endId, 0, 0, 0, 0],
    ]);
  });

  it("gives unknown words one id, and cuts long texts before the end", () => {
    const { beginId, unknownId, endId } = tokenizer;
    expect(rows(["a b c d e f g"])).toEqual([[beginId, 1, unknownId, unknownId, unknownId, endId]]);
  });

  it("ends every text with the largest id of the vocabulary", () => {
    expect(tokenizer.endId).toBe(tokenizer.vocabularySize - 1);
    for (const row of rows(["a", "x y z a b c d"])) expect(Math.max(...row)).toBe(tokenizer.endId);
  });

  it("collects a vocabulary by frequency, the same whatever the order of texts", () => {
    const texts = ["the digit seven", "the letter a", "the digit one"];
    const built = WordTokenizer.fromTexts(texts, 5, 4);
    expect(built.words).toEqual(["the", "digit", "a", "letter"]);
    expect(WordTokenizer.fromTexts([...texts].reverse(), 5, 4).words).toEqual(built.words);
  });

  it("survives JSON", () => {
    const copy = WordTokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)));
    expect(copy.encode(["photo of x"])).toEqual(tokenizer.encode(["photo of x"]));
  });

  it.each([
    { words: ["a"] },
    { ...tokenizer.toJSON(), contextLength: 1 },
    { ...tokenizer.toJSON(), words: ["a", "a"] },
  ])("refuses %j", (json) => {
    expect(() => WordTokenizer.fromJSON(json)).toThrow(InputError);
  });
});
