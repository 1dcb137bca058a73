import { InputError, type EncoderInputs } from "@atlas-tv/core";
import { z } from "zod";

const vocabularySchema = z.strictObject({
  format: z.literal("atlas-word-vocabulary/1"),
  contextLength: z.number().int().min(2),
  words: z.array(z.string().min(1)),
});

/** What `WordTokenizer.toJSON` writes. */
export type WordVocabulary = z.output<typeof vocabularySchema>;

/** Runs of letters, marks and digits; everything else separates. */
function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
}

/**
 * A tokenizer for small models: one id for each word of a fixed list. Id 0 pads, ids 1 … W are the words, then come
 * the unknown word, the begin and the end of a text. The end is the largest id, where CLIP's text encoder reads.
 */
export class WordTokenizer {
  readonly #ids: ReadonlyMap<string, number>;

  constructor(readonly words: readonly string[], readonly contextLength: number) {
    this.#ids = new Map(words.map((word, index) => [word, index + 1]));
    if (this.#ids.size === words.length) return;
    throw new InputError({ where: "word vocabulary", got: "a word twice", expected: "distinct words" });
  }

  get unknownId(): number {
    return this.words.length + 1;
  }

  get beginId(): number {
    return this.words.length + 2;
  }

  get endId(): number {
    return this.words.length + 3;
  }

  /** `vocab_size` of the text encoder. */
  get vocabularySize(): number {
    return this.words.length + 4;
  }

  /** Ids `(texts, contextLength)`: begin, words, end, padding. A text that is too long is cut and still ends with end. */
  encode(texts: readonly string[]): EncoderInputs {
    const data = new Float32Array(texts.length * this.contextLength);
    texts.forEach((text, row) => {
      const ids = wordsOf(text).slice(0, this.contextLength - 2).map((word) => this.#ids.get(word) ?? this.unknownId);
      data.set([this.beginId, ...ids, this.endId], row * this.contextLength);
    });
    return { data, shape: [texts.length, this.contextLength] };
  }

  /** The words of `texts`, most frequent first and equals in alphabetical order; at most `limit`. */
  static fromTexts(texts: Iterable<string>, contextLength: number, limit = Infinity): WordTokenizer {
    const counts = new Map<string, number>();
    for (const text of texts) for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
    const sorted = [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
    return new WordTokenizer(sorted.slice(0, limit).map(([word]) => word), contextLength);
  }

  /** @throws InputError unless `json` is what `toJSON` gives. */
  static fromJSON(json: unknown, where = "word vocabulary"): WordTokenizer {
    const parsed = vocabularySchema.safeParse(json);
    if (parsed.success) return new WordTokenizer(parsed.data.words, parsed.data.contextLength);
    const issue = parsed.error.issues[0]!;
    throw new InputError({
      where,
      got: `${issue.path.join(".") || "the document"}: ${issue.message}`,
      expected: "{ format, contextLength, words } as WordTokenizer writes it",
    });
  }

  toJSON(): WordVocabulary {
    return { format: "atlas-word-vocabulary/1", contextLength: this.contextLength, words: [...this.words] };
  }
}
