import type { Random } from "@atlas-tv/core";
import type { EmojiIdentity, GlyphCharacter } from "@atlas-tv/datasets";
import type { RankedPhrase } from "./vocabulary.js";

/** Something a caption can speak of: one item, a keyword, a category, a subcategory. */
export type Concept = string;

/** One way to speak of a concept. */
interface Phrasing {
  readonly concept: Concept;
  readonly texts: readonly string[];
}

/** What a picture shows and all that can be said of it. */
export interface Subject {
  readonly item: Phrasing;
  /** Said now and then instead of the item's name. */
  readonly keywords: readonly Phrasing[];
  readonly category: Phrasing;
  readonly subcategory: Phrasing;
}

export interface Caption {
  readonly text: string;
  readonly concept: Concept;
}

/** How often a caption names the category and the subcategory; else it names the item. */
const CATEGORY_SHARE = 0.1;
const SUBCATEGORY_SHARE = 0.14;

/** Share of item captions that use a keyword, where the item has one. */
const KEYWORD_SHARE = 0.2;

/** Keywords of more items than this say too little about a picture. */
const WIDEST_KEYWORD = 15;

/** `flag fr`: a code, not a word. */
const COUNTRY_CODE = /^flag [a-z]{2}$/;

/** Draws a caption: 10 % category, 14 % subcategory, 76 % item (by name or keyword). */
export function drawCaption(subject: Subject, random: Random): Caption {
  const level = random.next();
  const phrasing =
    level < CATEGORY_SHARE ? subject.category
    : level < CATEGORY_SHARE + SUBCATEGORY_SHARE ? subject.subcategory
    : subject.keywords.length > 0 && random.next() < KEYWORD_SHARE ? subject.keywords[random.below(subject.keywords.length)]!
    : subject.item;
  return { text: phrasing.texts[random.below(phrasing.texts.length)]!, concept: phrasing.concept };
}

/** Every concept under which a caption is true of the subject. */
export function conceptsOf({ item, keywords, category, subcategory }: Subject): Set<Concept> {
  return new Set([item, ...keywords, category, subcategory].map(({ concept }) => concept));
}

/** batch × batch, row-major: 1 where caption j is true of picture i (same item, keyword, category or subcategory). */
export function positivePairs(subjects: readonly Subject[], captions: readonly Caption[]): Float32Array {
  const columns = new Map<Concept, number[]>();
  captions.forEach(({ concept }, column) => {
    const known = columns.get(concept);
    if (known === undefined) columns.set(concept, [column]);
    else known.push(column);
  });
  const positives = new Float32Array(subjects.length * captions.length);
  subjects.forEach((subject, row) => {
    for (const concept of conceptsOf(subject)) {
      for (const column of columns.get(concept) ?? []) positives[row * captions.length + column] = 1;
    }
  });
  return positives;
}

/** The subjects of emoji. Keywords that many items share, or that repeat another item's name, are not used. */
export function emojiSubjects(identities: readonly EmojiIdentity[]): Subject[] {
  const names = new Set(identities.map(({ name }) => name));
  const uses = new Map<string, number>();
  for (const { keywords } of identities) for (const keyword of keywords) uses.set(keyword, (uses.get(keyword) ?? 0) + 1);
  const usable = (keyword: string): boolean => uses.get(keyword)! <= WIDEST_KEYWORD && !names.has(keyword) && /[a-z]/.test(keyword) && !COUNTRY_CODE.test(keyword);
  return identities.map(({ code, name, keywords, category, subcategory }) => ({
    item: {
      concept: `emoji ${code}`,
      texts: [name, `an emoji of ${name}`, `a picture of ${name}`, `a photo of ${name}`, `a picture of ${name} ${category}`],
    },
    keywords: keywords.filter(usable).map((keyword) => ({
      concept: `keyword ${keyword}`,
      texts: [keyword, `an emoji of ${keyword}`, `a picture of ${keyword}`, `a photo of ${keyword}`],
    })),
    category: { concept: `category ${category}`, texts: [category, `an emoji of ${category}`, `a picture of ${category}`] },
    subcategory: { concept: `subcategory ${subcategory}`, texts: [subcategory, `an emoji of ${subcategory}`, `a picture of ${subcategory} ${category}`] },
  }));
}

/** The subject of a character. A letter's name alone would not tell the alphabets apart, so it is never said alone. */
export function glyphSubject({ set, name, forms }: GlyphCharacter): Subject {
  const of = (concept: Concept, texts: readonly string[]): Phrasing => ({ concept, texts });
  if (set === "digit") {
    const digit = forms[0]!;
    const said = [name, digit].flatMap((value) => [
      value, `the digit ${value}`, `the number ${value}`, `a picture of the digit ${value}`, `a photo of the number ${value}`,
    ]);
    const kind = of("digit", ["a digit", "a number", "a picture of a digit", "a photo of a number"]);
    return { item: of(`digit ${digit}`, said), keywords: [], category: kind, subcategory: kind };
  }
  return {
    item: of(`${set} ${name}`, [`the ${set} letter ${name}`, `${set} ${name}`, `a picture of the ${set} letter ${name}`]),
    keywords: [],
    category: of("letter", ["a letter", "a picture of a letter"]),
    subcategory: of(`${set} letter`, [`a ${set} letter`, `a picture of a ${set} letter`]),
  };
}

/** All texts that the subjects' captions can have; names before keywords, so that a short vocabulary loses keywords first. */
export function* captionPhrases(subjects: readonly Subject[]): Generator<RankedPhrase> {
  for (const { item, keywords, category, subcategory } of subjects) {
    for (const { texts } of [item, category, subcategory]) for (const text of texts) yield { text, rank: 0 };
    for (const { texts } of keywords) for (const text of texts) yield { text, rank: 1 };
  }
}
