/** A phrase of the captions; phrases with a lower `rank` get their words in first. */
export interface RankedPhrase {
  readonly text: string;
  readonly rank: number;
}

/** Lower-case runs of letters, marks and digits, as the word tokenizer of `@atlas-tv/clip` reads them. */
export function captionWords(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
}

/** The words that the text encoder knows, in id order. */
export class Vocabulary {
  readonly words: readonly string[];
  readonly #known: ReadonlySet<string>;

  constructor(words: readonly string[]) {
    this.words = words;
    this.#known = new Set(words);
  }

  /** Whether every word of a text is known. */
  has(text: string): boolean {
    return captionWords(text).every((word) => this.#known.has(word));
  }
}

/**
 * The `limit` words of the phrases that come first: those of `preferred`, then by rank, then by how many
 * phrases of that rank have them, then by the alphabet. A preferred word that no phrase has is left out. The
 * same phrases give the same vocabulary, in whatever order they come.
 */
export function buildVocabulary(phrases: Iterable<RankedPhrase>, limit: number, preferred: readonly string[] = []): Vocabulary {
  const counts = new Map<string, { rank: number; count: number }>();
  for (const { text, rank } of phrases) {
    for (const word of new Set(captionWords(text))) {
      const known = counts.get(word);
      if (known === undefined || rank < known.rank) counts.set(word, { rank, count: 1 });
      else if (rank === known.rank) known.count++;
    }
  }
  for (const word of preferred.flatMap(captionWords)) {
    const known = counts.get(word);
    if (known !== undefined) known.rank = -1;
  }
  const order = [...counts].sort(([a, one], [b, other]) => one.rank - other.rank || other.count - one.count || (a < b ? -1 : 1));
  return new Vocabulary(order.slice(0, limit).map(([word]) => word));
}
