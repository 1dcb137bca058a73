import { describe, expect, it } from "vitest";
import { InputError } from "@atlas-tv/core";
import { BYTE_SYMBOLS, ClipTokenizer, openAiVocabulary } from "../src/index.js";

type Merge = string | readonly [string, string];

/** A `tokenizer.json` of all bytes and these merges. */
function tokenizerJson(merges: readonly Merge[]): { model: { vocab: Record<string, number>; merges: unknown[]; [field: string]: unknown } } {
  const joined = merges.map((pair) => (typeof pair === "string" ? pair.replace(" ", "") : pair.join("")));
  const pieces = [...BYTE_SYMBOLS, ...BYTE_SYMBOLS.map((symbol) => `${symbol}</w>`), ...joined, "<|startoftext|>", "<|endoftext|>"];
  return {
    model: {
      type: "BPE",
      end_of_word_suffix: "</w>",
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges: [...merges],
    },
  };
}

describe("ClipTokenizer", () => {
  it.each<[string, readonly Merge[]]>([["pairs as texts", ["a b", "ab c</w>"]], ["pairs as lists", [["a", "b"], ["ab", "c</w>"]]]])(
    "reads a checkpoint's tokenizer.json with %s", (_, merges) => {
      const json = tokenizerJson(merges);
      const tokenizer = ClipTokenizer.fromTokenizerJson(json, 6);
      const { vocab } = json.model;
      expect(tokenizer.ids("ABC abd")).toEqual([vocab["abc</w>"], vocab["ab"], vocab["d</w>"]]);
      expect([...tokenizer.encode(["abc"]).data]).toEqual([vocab["<|startoftext|>"], vocab["abc</w>"], vocab["<|endoftext|>"], 0, 0, 0]);
      expect(tokenizer.vocabularySize).toBe(Object.keys(vocab).length);
    },
  );

  it("gives the same ids from OpenAI's vocabulary written as tokenizer.json", async () => {
    const { ids, merges } = await openAiVocabulary();
    const json = { model: { end_of_word_suffix: "</w>", vocab: Object.fromEntries(ids), merges: [...merges] } };
    const texts = ["a photo of a cat.", "état — 7", "x <end_of_text> y"];
    expect(ClipTokenizer.fromTokenizerJson(json).encode(texts)).toEqual((await ClipTokenizer.openAi()).encode(texts));
  });

  it("cuts a text that is too long and ends it with end", async () => {
    const tokenizer = await ClipTokenizer.openAi(5);
    const [, ...rest] = tokenizer.encode(["one two three four five"]).data;
    expect(rest).toHaveLength(4);
    expect(rest.at(-1)).toBe(tokenizer.vocabulary.end);
  });

  const valid = tokenizerJson(["a b"]);
  it.each([
    ["model", {}],
    ["end_of_word_suffix", { model: { ...valid.model, end_of_word_suffix: "" } }],
    ["type", { model: { ...valid.model, type: "WordPiece" } }],
    ["<\\|startoftext\\|>", { model: { ...valid.model, vocab: { ...valid.model.vocab, "<|startoftext|>": undefined } } }],
    ["largest id", { model: { ...valid.model, vocab: { ...valid.model.vocab, extra: 99999 } } }],
    ["y z", { model: { ...valid.model, merges: ["y z"] } }],
  ])("refuses a tokenizer of another kind and names the reason: %s", (reason, json) => {
    const document: unknown = JSON.parse(JSON.stringify(json));
    expect(() => ClipTokenizer.fromTokenizerJson(document, 8, "own.json")).toThrow(InputError);
    expect(() => ClipTokenizer.fromTokenizerJson(document, 8, "own.json")).toThrow(new RegExp(`own.json[^]*${reason}`));
  });
});
