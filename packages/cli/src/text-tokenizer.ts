import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ClipTokenizer, textSpec, WordTokenizer } from "@atlas-tv/clip";
import { InputError } from "@atlas-tv/core";
import type { LoadedModel } from "./loaded-model.js";

/** Whatever gives a text encoder its token ids. */
export type Tokenizer = ClipTokenizer | WordTokenizer;

const WORDS_FILE = "vocabulary.json";
const TOKENIZER_FILE = "tokenizer.json";

/** Ids of OpenAI's vocabulary, which most CLIPs have. */
const OPENAI_IDS = 49408;

function readJson(path: string, expected: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new InputError({ where: path, got: cause instanceof Error ? cause.message : String(cause), expected }, { cause });
  }
}

function requireFitting(tokenizer: Tokenizer, where: string, ids: number, length: number): Tokenizer {
  if (tokenizer.vocabularySize === ids && tokenizer.contextLength === length) return tokenizer;
  throw new InputError({
    where,
    got: `${tokenizer.vocabularySize} ids, texts of ${tokenizer.contextLength}`,
    expected: `text_cfg of the model's configuration: ${ids} ids, texts of ${length}`,
  });
}

/**
 * The tokenizer of a model: the words or the `tokenizer.json` beside its weights, or OpenAI's where the number of ids says
 * that it is the model's.
 * @param where what needs it, for messages.
 * @throws InputError when there is none, or one that is not the model's.
 */
export async function modelTokenizer({ folder, config }: LoadedModel, where: string): Promise<Tokenizer> {
  const { vocabularySize: ids, contextLength: length } = textSpec(config);
  const words = join(folder.path, WORDS_FILE);
  if (existsSync(words)) {
    return requireFitting(WordTokenizer.fromJSON(readJson(words, "a JSON file with the words of the text encoder"), words), words, ids, length);
  }
  const own = join(folder.path, TOKENIZER_FILE);
  if (existsSync(own)) {
    return requireFitting(ClipTokenizer.fromTokenizerJson(readJson(own, "the JSON file of a tokenizer"), length, own), own, ids, length);
  }
  if (ids === OPENAI_IDS) return ClipTokenizer.openAi(length);
  throw new InputError({
    where,
    got: `a text encoder of ${ids} ids, and neither ${WORDS_FILE} nor ${TOKENIZER_FILE} in ${folder.path}`,
    expected: `a tokenizer for these ids, or OpenAI's ${OPENAI_IDS}`,
    next: `put the model's ${TOKENIZER_FILE}, or a saved head, into ${folder.path}`,
  });
}
