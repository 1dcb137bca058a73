import type { EncoderInputs } from "@atlas-tv/core";
import { cleanText } from "./clip-text.js";
import { BYTE_SYMBOLS, openAiVocabulary, vocabularyFromTokenizerJson, WORD_END, type ClipVocabulary } from "./clip-vocabulary.js";

/** Tokens of a text in OpenAI's CLIP. */
const CONTEXT_LENGTH = 77;

const START_MARK = "<start_of_text>";
const END_MARK = "<end_of_text>";

/** The parts that are encoded each by itself: marks, English contractions, letters, single digits, anything else. */
const WORDS = /<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/giu;

/** CLIP's byte-pair tokenizer (Sennrich et al. 2016; Radford et al. 2021, section 2.4), with the ids of open_clip's. */
export class ClipTokenizer {
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #known = new Map<string, readonly number[]>();

  constructor(
    readonly vocabulary: ClipVocabulary,
    readonly contextLength = CONTEXT_LENGTH,
  ) {
    this.#ranks = new Map(vocabulary.merges.map((pair, rank) => [pair, rank]));
    this.#known.set(START_MARK, [vocabulary.begin]).set(END_MARK, [vocabulary.end]);
  }

  /** The tokenizer of OpenAI's CLIP, for checkpoints without a tokenizer of their own. */
  static async openAi(contextLength = CONTEXT_LENGTH): Promise<ClipTokenizer> {
    return new ClipTokenizer(await openAiVocabulary(), contextLength);
  }

  /** The tokenizer of a checkpoint's `tokenizer.json`. @throws InputError unless it is one of CLIP's kind. */
  static fromTokenizerJson(json: unknown, contextLength = CONTEXT_LENGTH, where = "tokenizer.json"): ClipTokenizer {
    return new ClipTokenizer(vocabularyFromTokenizerJson(json, where), contextLength);
  }

  /** `vocab_size` of the text encoder. */
  get vocabularySize(): number {
    return this.vocabulary.end + 1;
  }

  /** Ids of one text without begin and end, of any length. */
  ids(text: string): number[] {
    return (cleanText(text).match(WORDS) ?? []).flatMap((word) => this.#wordIds(word));
  }

  /** Ids `(texts, contextLength)`: begin, text, end, zeros. A text that is too long is cut and still ends with end. */
  encode(texts: readonly string[]): EncoderInputs {
    const { begin, end } = this.vocabulary;
    const data = new Float32Array(texts.length * this.contextLength);
    texts.forEach((text, row) => {
      data.set([begin, ...this.ids(text).slice(0, this.contextLength - 2), end], row * this.contextLength);
    });
    return { data, shape: [texts.length, this.contextLength] };
  }

  #wordIds(word: string): readonly number[] {
    const known = this.#known.get(word);
    if (known !== undefined) return known;
    const ids = this.#pieces(word).map((piece) => this.vocabulary.ids.get(piece)!);
    this.#known.set(word, ids);
    return ids;
  }

  /** The bytes of a word, joined pair by pair in the order of the merges until no pair is one of them. */
  #pieces(word: string): string[] {
    let pieces = Array.from(new TextEncoder().encode(word), (byte) => BYTE_SYMBOLS[byte]!);
    pieces[pieces.length - 1] += WORD_END;
    for (;;) {
      const pair = this.#firstPair(pieces);
      if (pair === null) return pieces;
      pieces = joinPair(pieces, ...pair);
    }
  }

  #firstPair(pieces: readonly string[]): [string, string] | null {
    let best = Infinity;
    let pair: [string, string] | null = null;
    for (let at = 0; at + 1 < pieces.length; at++) {
      const rank = this.#ranks.get(`${pieces[at]!} ${pieces[at + 1]!}`) ?? Infinity;
      if (rank >= best) continue;
      best = rank;
      pair = [pieces[at]!, pieces[at + 1]!];
    }
    return pair;
  }
}

/** The pieces with every occurrence of the pair joined, from left to right. */
function joinPair(pieces: readonly string[], left: string, right: string): string[] {
  const joined: string[] = [];
  for (let at = 0; at < pieces.length; at++) {
    const isPair = pieces[at] === left && pieces[at + 1] === right;
    joined.push(isPair ? left + right : pieces[at]!);
    if (isPair) at++;
  }
  return joined;
}
