import type { ClipTokenizer } from "./clip-tokenizer.js";
import { WORD_END } from "./clip-vocabulary.js";

const BEGIN = "<|startoftext|>";
const END = "<|endoftext|>";

/** The words of CLIP in the regular expressions of Hugging Face's tokenizers. */
const WORDS = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

function tokenizerJson({ vocabulary, contextLength }: ClipTokenizer): Record<string, unknown> {
  const { ids, merges, begin, end } = vocabulary;
  const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: "1.0",
    truncation: { direction: "Right", max_length: contextLength, strategy: "LongestFirst", stride: 0 },
    padding: null,
    added_tokens: [{ id: begin, content: BEGIN, ...special }, { id: end, content: END, ...special }],
    normalizer: {
      type: "Sequence",
      normalizers: [{ type: "NFC" }, { type: "Replace", pattern: { Regex: "\\s+" }, content: " " }, { type: "Lowercase" }],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: WORDS }, behavior: "Removed", invert: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: { type: "RobertaProcessing", sep: [END, end], cls: [BEGIN, begin], trim_offsets: false, add_prefix_space: false },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: END,
      continuing_subword_prefix: "",
      end_of_word_suffix: WORD_END,
      fuse_unk: false,
      vocab: Object.fromEntries(ids),
      merges,
    },
  };
}

/**
 * The tokenizer as the files that transformers and transformers.js read, by name. Their normalisation is the one that
 * Hugging Face gives CLIP (NFC, white space, lower case), without HTML character references.
 */
export function huggingFaceTokenizerFiles(tokenizer: ClipTokenizer): Map<string, string> {
  const { vocabulary, contextLength } = tokenizer;
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  const special = { bos_token: BEGIN, eos_token: END, unk_token: END, pad_token: END };
  return new Map([
    ["tokenizer.json", json(tokenizerJson(tokenizer))],
    ["tokenizer_config.json", json({ tokenizer_class: "CLIPTokenizer", model_max_length: contextLength, do_lower_case: true, ...special })],
    ["special_tokens_map.json", json(special)],
    ["vocab.json", `${JSON.stringify(Object.fromEntries(vocabulary.ids))}\n`],
    ["merges.txt", `#version: 0.2\n${vocabulary.merges.join("\n")}\n`],
  ]);
}
