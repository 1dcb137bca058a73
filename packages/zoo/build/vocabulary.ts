/** Ids of a word vocabulary that are not words. Start and end have the two highest ids, as in CLIP, where the end is the largest id of a text. */
export const PAD = 0;
export const UNKNOWN = 1;

/** Ids that no word takes: padding, unknown, start, end. */
const SPECIAL = 4;

/** Words of a text: lower case, letters and digits only, plural s dropped. */
export function captionWords(text: string): string[] {
  return text
    .normalize("NFD")
    .replace(/[\u0300-\u036f'’]/g, "")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "")
    .map(singular);
}

/** `boots` → `boot`, `trousers` → `trouser`; `glass`, `bus`, `tennis` stay. The same rule reads captions and prompts. */
function singular(word: string): string {
  return word.length > 3 && /[^sui]s$/.test(word) ? word.slice(0, -1) : word;
}

/** A list of words with the ids of their tokens. */
export class WordVocabulary {
  /** Words in id order; the first has id 2. */
  readonly words: readonly string[];
  /** Number of ids, the four special ones included. */
  readonly size: number;
  readonly #ids: ReadonlyMap<string, number>;

  constructor(words: readonly string[]) {
    this.words = words;
    this.size = words.length + SPECIAL;
    this.#ids = new Map(words.map((word, index) => [word, index + 2]));
  }

  get start(): number {
    return this.size - 2;
  }

  get end(): number {
    return this.size - 1;
  }

  has(word: string): boolean {
    return captionWords(word).every((each) => this.#ids.has(each));
  }

  /** Token ids of a text: start, words, end, padding to `contextLength`; words too many are cut. */
  encode(text: string, contextLength: number): Int32Array {
    const ids = new Int32Array(contextLength).fill(PAD);
    const words = captionWords(text).slice(0, contextLength - 2);
    ids[0] = this.start;
    words.forEach((word, index) => (ids[index + 1] = this.#ids.get(word) ?? UNKNOWN));
    ids[words.length + 1] = this.end;
    return ids;
  }
}

/** A phrase of the captions; phrases with a lower `rank` get their words in first. */
export interface RankedPhrase {
  readonly text: string;
  readonly rank: number;
}

/**
 * The `limit` − 4 words of the phrases that come first: those of `preferred`, then by rank, then by how many
 * phrases of that rank have them, then by the alphabet. A preferred word that no phrase has is left out. The
 * same phrases give the same vocabulary, in whatever order they come.
 */
export function buildVocabulary(phrases: Iterable<RankedPhrase>, limit: number, preferred: readonly string[] = []): WordVocabulary {
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
  return new WordVocabulary(order.slice(0, limit - SPECIAL).map(([word]) => word));
}
