import { InputError } from "@atlas-tv/core";
import { z } from "zod";

/** Ends the last piece of a word. */
export const WORD_END = "</w>";

const BEGIN = "<|startoftext|>";
const END = "<|endoftext|>";

/** What byte-pair encoding knows: the pieces of words, and which two are joined first. */
export interface ClipVocabulary {
  /** Id of each piece; the last piece of a word ends with `</w>`. */
  readonly ids: ReadonlyMap<string, number>;
  /** Pairs of pieces separated by a space, those that are joined first in front. */
  readonly merges: readonly string[];
  /** Id of the begin of a text. */
  readonly begin: number;
  /** Id of the end of a text: the largest, where CLIP's text encoder reads. */
  readonly end: number;
}

/** Printable characters of Latin-1, which stand for their own bytes. */
const PRINTABLE = [[0x21, 0x7e], [0xa1, 0xac], [0xae, 0xff]] as const;

const BYTES = Array.from({ length: 256 }, (_, byte) => byte);

const isPrintable = (byte: number): boolean => PRINTABLE.some(([first, last]) => byte >= first && byte <= last);

/** Bytes in the order of the vocabulary: printable ones first. */
const BYTE_ORDER: readonly number[] = [...BYTES.filter(isPrintable), ...BYTES.filter((byte) => !isPrintable(byte))];

/** The character that stands for each byte, as in GPT-2: itself where it is printable, otherwise one from U+0100 on. */
export const BYTE_SYMBOLS: readonly string[] = BYTES.map((byte) => {
  const others = BYTE_ORDER.indexOf(byte) - BYTES.filter(isPrintable).length;
  return String.fromCharCode(others < 0 ? byte : 0x100 + others);
});

/** The vocabulary of byte-pair merges: bytes, bytes that end a word, one piece for every merge, begin and end. */
function vocabularyOf(merges: readonly string[]): ClipVocabulary {
  const symbols = BYTE_ORDER.map((byte) => BYTE_SYMBOLS[byte]!);
  const pieces = [...symbols, ...symbols.map((symbol) => symbol + WORD_END), ...merges.map((pair) => pair.replace(" ", "")), BEGIN, END];
  return {
    ids: new Map(pieces.map((piece, id) => [piece, id])),
    merges,
    begin: pieces.length - 2,
    end: pieces.length - 1,
  };
}

/**
 * The vocabulary of OpenAI's CLIP and of most models that came after it: 49,408 ids. It is loaded when asked for,
 * about half a megabyte.
 */
export async function openAiVocabulary(): Promise<ClipVocabulary> {
  const { default: file } = await import("./openai-merges.json", { with: { type: "json" } });
  return vocabularyOf(file.merges);
}

const tokenizerSchema = z.object({
  model: z.object({
    type: z.literal("BPE").optional(),
    end_of_word_suffix: z.literal(WORD_END),
    vocab: z.record(z.string(), z.number().int().nonnegative()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  }),
});

/**
 * The vocabulary in a checkpoint's `tokenizer.json`, the file of Hugging Face's tokenizers.
 * @throws InputError unless it is a byte-pair vocabulary of CLIP's kind.
 */
export function vocabularyFromTokenizerJson(json: unknown, where = "tokenizer.json"): ClipVocabulary {
  const expected = `a byte-pair vocabulary with the suffix ${WORD_END}, as CLIP's tokenizers have it`;
  const parsed = tokenizerSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new InputError({ where, got: `${issue.path.join(".") || "the document"}: ${issue.message}`, expected });
  }
  const { vocab, merges } = parsed.data.model;
  const ids = new Map(Object.entries(vocab));
  const missing = [...BYTE_SYMBOLS.flatMap((symbol) => [symbol, symbol + WORD_END]), BEGIN, END].find((piece) => !ids.has(piece));
  if (missing !== undefined) throw new InputError({ where, got: `no piece "${missing}" in model.vocab`, expected });
  const end = ids.get(END)!;
  const largest = [...ids.values()].reduce((most, id) => Math.max(most, id), 0);
  if (end !== largest) {
    throw new InputError({ where, got: `${END} with the id ${end}`, expected: `the largest id, ${largest}: CLIP's text encoder reads there` });
  }
  const pairs = merges.map((pair) => (typeof pair === "string" ? pair : pair.join(" ")));
  const strange = pairs.find((pair) => !ids.has(pair.replace(" ", "")));
  if (strange !== undefined) throw new InputError({ where, got: `a merge "${strange}" whose result is no piece of model.vocab`, expected });
  return { ids, merges: pairs, begin: ids.get(BEGIN)!, end };
}
