import type { Random } from "@atlas-tv/core";
import { GLYPH_CHARACTERS, type CharacterSetName } from "@atlas-tv/datasets";
import { captionPhrases, drawCaption, emojiSubjects, glyphSubject, positivePairs, type Caption, type Subject } from "./captions.js";
import { augmentEmoji, augmentGlyph } from "./pretraining-augmentation.js";
import { EMOJI_BYTES, GLYPH_BYTES, drawGlyph, emojiBank, glyphBank, type EmojiBank, type GlyphBank } from "./pretraining-pictures.js";
import { PICTURE_BYTES, SIDE } from "./rendered-images.js";
import { zooSplits } from "./tasks.js";
import { buildVocabulary, type Vocabulary } from "./vocabulary.js";

/** Words of the text encoder; with the tokenizer's four special tokens 2,048 ids. */
const VOCABULARY_WORDS = 2044;

/** Words of later prompts; those that captions have are given ids before rarer words. */
const PROMPT_WORDS = [
  "a photo of the number digit", "zero one two three four five six seven eight nine", "0 1 2 3 4 5 6 7 8 9",
  "t-shirt tshirt top trousers trouser jeans pants pullover sweater dress coat jacket sandal shirt sneaker bag handbag ankle boot shoe clothing",
];

/** One batch: half emoji, half glyphs. */
export interface PicturesAndCaptions {
  /** (batch, 32, 32, 3), normalised to −1 … 1. */
  readonly images: Float32Array;
  /** One caption per image. */
  readonly captions: readonly string[];
  /** batch × batch, row-major; 1 where image i and caption j belong together. */
  readonly positives: Float32Array;
}

/** The pictures of pre-training, in memory. */
export interface PretrainingData {
  readonly vocabulary: Vocabulary;
  /** Most tokens of a caption, start and end included. */
  readonly longestCaption: number;
  /** Kinds and numbers, for a report. */
  readonly counts: Readonly<Record<string, number>>;
  /** Draws a batch; the same generator state gives the same batch. */
  batch(random: Random, batchSize: number): PicturesAndCaptions;
}

/**
 * Emoji of the pre-training part by every vendor but the unseen one, and characters of the pre-training
 * font families, with captions. Reads from `cacheFolder` what an earlier call rendered. MNIST and
 * Fashion-MNIST are not among the pictures.
 *
 * @param random the zoo's generator, the one that {@link zooTasks} gets: both share the splits
 */
export async function pretrainingData(resolveFrom: string, cacheFolder: string, random: Random): Promise<PretrainingData> {
  const { emoji, families } = zooSplits(resolveFrom, random);
  const emojis = await emojiBank(emoji.pretraining, cacheFolder);
  const glyphs = await glyphBank(families.pretraining, cacheFolder);
  const ofEmoji = emojiSubjects(emoji.pretraining);
  const sets = Object.keys(GLYPH_CHARACTERS) as CharacterSetName[];
  const ofGlyphs = Object.fromEntries(sets.map((set) => [set, GLYPH_CHARACTERS[set].map(glyphSubject)])) as Record<CharacterSetName, Subject[]>;
  const phrases = [...captionPhrases([...ofEmoji, ...Object.values(ofGlyphs).flat()])];
  const vocabulary = buildVocabulary(phrases, VOCABULARY_WORDS, PROMPT_WORDS);
  const source = new PretrainingSource(emojis, glyphs, ofEmoji.map((subject) => known(subject, vocabulary)), ofGlyphs);
  return {
    vocabulary,
    longestCaption: phrases.reduce((most, { text }) => Math.max(most, text.split(" ").length + 2), 0),
    counts: {
      emoji: emoji.pretraining.length,
      emojiDrawings: emojis.drawings.length,
      fontFamilies: families.pretraining.length,
      glyphs: glyphs.bytes.length / GLYPH_BYTES,
      words: vocabulary.words.length,
    },
    batch: (numbers, batchSize) => source.batch(numbers, batchSize),
  };
}

/** The subject without keywords that have a word outside the vocabulary. */
function known(subject: Subject, vocabulary: Vocabulary): Subject {
  return { ...subject, keywords: subject.keywords.filter(({ texts }) => vocabulary.has(texts[0]!)) };
}

class PretrainingSource {
  readonly #emojis: EmojiBank;
  readonly #glyphs: GlyphBank;
  readonly #ofEmoji: readonly Subject[];
  readonly #ofGlyphs: Readonly<Record<CharacterSetName, readonly Subject[]>>;

  constructor(emojis: EmojiBank, glyphs: GlyphBank, ofEmoji: readonly Subject[], ofGlyphs: Readonly<Record<CharacterSetName, readonly Subject[]>>) {
    this.#emojis = emojis;
    this.#glyphs = glyphs;
    this.#ofEmoji = ofEmoji;
    this.#ofGlyphs = ofGlyphs;
  }

  batch(random: Random, batchSize: number): PicturesAndCaptions {
    const images = new Float32Array(batchSize * SIDE * SIDE * 3);
    const subjects: Subject[] = [];
    const captions: Caption[] = [];
    for (let index = 0; index < batchSize; index++) {
      const at = index * PICTURE_BYTES;
      const subject = index % 2 === 0 ? this.#drawEmoji(images, at, random) : this.#drawGlyph(images, at, random);
      subjects.push(subject);
      captions.push(drawCaption(subject, random));
    }
    return { images, captions: captions.map(({ text }) => text), positives: positivePairs(subjects, captions) };
  }

  #drawEmoji(images: Float32Array, at: number, random: Random): Subject {
    const { drawings, bytes } = this.#emojis;
    const index = random.below(drawings.length);
    const { identity, vendor } = drawings[index]!;
    augmentEmoji(bytes, index * EMOJI_BYTES, vendor === "openmoji-black", images, at, random);
    return this.#ofEmoji[identity]!;
  }

  #drawGlyph(images: Float32Array, at: number, random: Random): Subject {
    const { set, character, mask } = drawGlyph(this.#glyphs, random);
    augmentGlyph(this.#glyphs.bytes, mask * GLYPH_BYTES, images, at, random);
    return this.#ofGlyphs[set][character]!;
  }
}
