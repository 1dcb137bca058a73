import { loadBase, type ModelFiles, type TensorFile } from "@atlas-tv/checkpoints";
import { ClipTokenizer, textSpec, WordTokenizer, type ClipConfig } from "@atlas-tv/clip";
import { InputError, type EncoderInputs, type NamedHostTensors, type TextTransformerSpec } from "@atlas-tv/core";

/** Words of a small model, one an id. */
export const VOCABULARY = "vocabulary.json";

/** A byte-pair vocabulary, as Hugging Face keeps it. */
export const TOKENIZER = "tokenizer.json";

/** `vocab_size` of OpenAI's CLIP, whose vocabulary is known without a file. */
const OPENAI_VOCABULARY = 49408;

/** What turns class names into a head: the text encoder of a model, and its words. */
export interface TextSide {
  readonly spec: TextTransformerSpec;
  readonly weights: NamedHostTensors;
  /** Token ids `(texts, contextLength)`. */
  readonly tokenize: (texts: readonly string[]) => EncoderInputs;
  /** Whether a word has an id of its own, or pieces that have. */
  readonly knows: (word: string) => boolean;
}

async function readJson(files: ModelFiles, path: string): Promise<unknown> {
  const source = await files.open(path);
  try {
    return JSON.parse(new TextDecoder().decode(await source.read(0, source.size)));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new InputError({ where: path, got: "text that is not JSON", expected: "the vocabulary of the text encoder" }, { cause });
  }
}

async function readTokenizer(files: ModelFiles, { contextLength, vocabularySize }: TextTransformerSpec): Promise<WordTokenizer | ClipTokenizer | null> {
  if (files.paths.includes(VOCABULARY)) return WordTokenizer.fromJSON(await readJson(files, VOCABULARY), VOCABULARY);
  if (files.paths.includes(TOKENIZER)) return ClipTokenizer.fromTokenizerJson(await readJson(files, TOKENIZER), contextLength, TOKENIZER);
  return vocabularySize === OPENAI_VOCABULARY ? ClipTokenizer.openAi(contextLength) : null;
}

/**
 * The text side among a model's files; null where there is no text encoder, or nothing is known of its words.
 * @throws InputError when what is there is damaged, or does not fit the configuration.
 */
export async function loadTextSide(files: ModelFiles, config: ClipConfig, base: TensorFile, basePath: string): Promise<TextSide | null> {
  if (!base.tensors.has("token_embedding.weight")) return null;
  const spec = textSpec(config);
  const tokenizer = await readTokenizer(files, spec);
  if (tokenizer === null) return null;
  if (tokenizer.vocabularySize !== spec.vocabularySize || tokenizer.contextLength !== spec.contextLength) {
    throw new InputError({
      where: "vocabulary of the text encoder",
      got: `${tokenizer.vocabularySize} ids, texts of ${tokenizer.contextLength}`,
      expected: `text_cfg of the configuration: ${spec.vocabularySize} ids, texts of ${spec.contextLength}`,
    });
  }
  return {
    spec,
    weights: await loadBase(spec, base.tensors, basePath),
    tokenize: (texts) => tokenizer.encode(texts),
    knows: (word) => !(tokenizer instanceof WordTokenizer) || !tokenizer.encode([word]).data.includes(tokenizer.unknownId),
  };
}
