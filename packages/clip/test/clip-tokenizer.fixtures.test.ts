import { describe, expect, it } from "vitest";
import { fixtureJson, fixtureTensors, integers, tensorOf } from "../../core/test/fixture-files.js";
import { ClipTokenizer } from "../src/index.js";

interface TextFixture {
  readonly strings: readonly string[];
  readonly n_tokens_without_specials: readonly number[];
  readonly indices_where_ftfy_matters: readonly number[];
  readonly prompts: readonly string[];
  readonly sot: number;
  readonly eot: number;
  readonly config: { readonly text_cfg: { readonly context_length: number } };
}

const golden = fixtureTensors("text/text.safetensors");
const facts = fixtureJson<TextFixture>("text/expected.json");
const length = facts.config.text_cfg.context_length;
const tokenizer = await ClipTokenizer.openAi(length);

async function rows(name: string): Promise<number[][]> {
  const all = await integers(golden, name);
  return Array.from({ length: tensorOf(golden, name).shape[0]! }, (_, row) => [...all.subarray(row * length, (row + 1) * length)]);
}

const encoded = (text: string): number[] => [...tokenizer.encode([text]).data];

const ids = await rows("ids");
const withoutFtfy = await rows("ids_without_ftfy");
const repaired = facts.indices_where_ftfy_matters;

describe("ClipTokenizer", () => {
  it.each(facts.strings.map((text, row) => [row, text] as const).filter(([row]) => !repaired.includes(row)))(
    "gives string %i open_clip's ids: %j", (row, text) => {
      expect(encoded(text)).toEqual(ids[row]);
      expect(tokenizer.ids(text)).toHaveLength(facts.n_tokens_without_specials[row]!);
    },
  );

  it.each(repaired.map((row, at) => [row, facts.strings[row]!, at] as const))(
    "gives string %i the ids that open_clip has without ftfy: %j", (_row, text, at) => {
      expect(encoded(text)).toEqual(withoutFtfy[at]);
    },
  );

  it("gives prompts their ids in one batch", async () => {
    // The stored ids come after ftfy, which leaves ASCII alone.
    const kept = facts.prompts.flatMap((text, row) => (/^[\x20-\x7e]*$/.test(text) ? [{ text, row }] : []));
    const { data, shape } = tokenizer.encode(kept.map(({ text }) => text));
    const wanted = await rows("prompt_tokens");
    expect(shape).toEqual([kept.length, length]);
    expect([...data]).toEqual(kept.flatMap(({ row }) => wanted[row]!));
  });

  it("has the ids of begin and end", () => {
    expect(tokenizer.vocabulary).toMatchObject({ begin: facts.sot, end: facts.eot });
  });
});
