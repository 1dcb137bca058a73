import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { encode, InputError, isotropic, PlainBackend, Random, randomParameters, type EncoderInputs, type NamedHostTensors, type TextTransformerSpec } from "@atlas-tv/core";
import { relativeError } from "../../core/test/fixture-files.js";
import "../../core/test/plain-backends.js";
import { firstColumns, shortenedText, textSpec, usedLength } from "../src/index.js";

const spec = textSpec({
  embed_dim: 8,
  vision_cfg: { image_size: 8, layers: 1, width: 8, head_width: 4, patch_size: 4 },
  text_cfg: { context_length: 9, vocab_size: 20, width: 8, heads: 2, layers: 2 },
});
const base = randomParameters(spec, new Random(5));

/** Texts of 2 and 4 tokens, with begin 18 and end 19. */
const texts: EncoderInputs = { data: Float32Array.of(18, 19, 0, 0, 0, 0, 0, 0, 0, 18, 3, 7, 19, 0, 0, 0, 0, 0), shape: [2, 9] };

async function features(own: TextTransformerSpec, tensors: NamedHostTensors, inputs: EncoderInputs): Promise<Float32Array> {
  const backend = new PlainBackend("cpu");
  await backend.activate();
  const encoder = await backend.compile(own, tensors, [], isotropic());
  const composed = await encoder.compose(encoder.initialCoefficients());
  const found = await encode(composed, inputs);
  const values = Float32Array.from(await found.data());
  tf.dispose(found);
  composed.dispose();
  encoder.dispose();
  return values;
}

describe("shortenedText", () => {
  it("gives the features of the whole encoder", async () => {
    const length = usedLength(texts);
    expect(length).toBe(4);
    const short = shortenedText(spec, base, length);
    const inputs = firstColumns(texts, length);
    expect([...inputs.data]).toEqual([18, 19, 0, 0, 18, 3, 7, 19]);
    expect(relativeError(await features(short.spec, short.base, inputs), await features(spec, base, texts))).toBeLessThan(1e-5);
  });

  it.each([0, 10, 2.5])("refuses a length of %s", (length) => {
    expect(() => shortenedText(spec, base, length)).toThrow(InputError);
  });
});
