import { describe, expect, it } from "vitest";
import { Random } from "@atlas-tv/core";
import { GLYPH_CHARACTERS, type EmojiIdentity } from "@atlas-tv/datasets";
import { captionPhrases, conceptsOf, drawCaption, emojiSubjects, glyphSubject, positivePairs } from "../build/captions.js";

const emoji = (name: string, category: string, subcategory: string, keywords: readonly string[] = []): EmojiIdentity => ({
  code: name, name, keywords, category, subcategory, files: {},
});

const subjects = emojiSubjects([
  emoji("red apple", "food drink", "food fruit", ["fruit", "flag fr", "pear"]),
  emoji("pear", "food drink", "food fruit", ["fruit"]),
  emoji("croissant", "food drink", "food prepared"),
  emoji("running shoe", "objects", "clothing", ["sneaker"]),
]);
const letters = GLYPH_CHARACTERS.capital.map(glyphSubject);
const digits = GLYPH_CHARACTERS.digit.map(glyphSubject);

describe("captions", () => {
  it("name the item in 76 %, the category in 10 %, the subcategory in 14 %", () => {
    const random = new Random(1);
    const draws = 20_000;
    const counts = { category: 0, subcategory: 0, item: 0 };
    for (let i = 0; i < draws; i++) {
      const { concept } = drawCaption(subjects[0]!, random);
      counts[concept.startsWith("category") ? "category" : concept.startsWith("subcategory") ? "subcategory" : "item"]++;
    }
    // Four standard errors of a share of 20,000 draws are below 0.013.
    expect(Math.abs(counts.item / draws - 0.76)).toBeLessThan(0.013);
    expect(Math.abs(counts.category / draws - 0.1)).toBeLessThan(0.013);
    expect(Math.abs(counts.subcategory / draws - 0.14)).toBeLessThan(0.013);
  });

  it("follow the templates", () => {
    const texts = (index: number): string[] => [...captionPhrases([subjects[index]!])].map(({ text }) => text);
    expect(texts(2)).toEqual(expect.arrayContaining(["croissant", "an emoji of croissant", "a picture of croissant food drink", "food prepared"]));
    expect(texts(3)).toContain("a photo of sneaker");
    const digit = [...captionPhrases([digits[7]!])].map(({ text }) => text);
    expect(digit).toEqual(expect.arrayContaining(["the digit seven", "the number 7", "a digit"]));
    expect([...captionPhrases([letters[0]!])].map(({ text }) => text)).toEqual(expect.arrayContaining(["the capital letter a", "a capital letter", "a letter"]));
    expect([...captionPhrases([glyphSubject(GLYPH_CHARACTERS.greek[0]!)])].map(({ text }) => text)).toContain("the greek letter alpha");
  });

  it("use no country code and no other item's name as a keyword", () => {
    expect(subjects[0]!.keywords.map(({ texts }) => texts[0])).toEqual(["fruit"]);
  });
});

describe("picture and caption", () => {
  const [apple, pear, croissant, shoe] = subjects as [typeof subjects[0], typeof subjects[0], typeof subjects[0], typeof subjects[0]];
  const caption = (concept: string): { text: string; concept: string } => ({ text: "", concept });

  it("belong together by item, keyword, category or subcategory", () => {
    const captions = [caption(apple.item.concept), caption("keyword fruit"), caption("category food drink"), caption("subcategory food fruit")];
    expect([...positivePairs([apple, pear, croissant, shoe], captions)]).toEqual([1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0]);
  });

  it("always belong together when one was drawn for the other", () => {
    const all = [...subjects, ...letters, ...digits];
    const random = new Random(2);
    const captions = all.map((subject) => drawCaption(subject, random));
    const pairs = positivePairs(all, captions);
    all.forEach((subject, i) => {
      expect(pairs[i * all.length + i]).toBe(1);
      captions.forEach(({ concept }, j) => expect(pairs[i * all.length + j]).toBe(conceptsOf(subject).has(concept) ? 1 : 0));
    });
  });

  it("tell a capital from a digit and one digit from another", () => {
    expect(positivePairs([digits[7]!], [caption(digits[7]!.item.concept), caption(digits[1]!.item.concept), caption("letter"), caption("digit")])).toEqual(Float32Array.of(1, 0, 0, 1));
  });
});
