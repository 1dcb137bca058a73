import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { encode, isotropic, normaliseRows, type Backend, type EncoderInputs } from "@atlas-tv/core";
import {
  closeTo, fixtureJson, fixtureTensors, floats, hostTensors, integers, tensorOf, tolerance,
} from "../../core/test/fixture-files.js";
import { ClipTokenizer, textSpec, zeroShotHead } from "../src/index.js";

interface TextFixture {
  prompts: string[];
  classnames: string[];
  templates: string[];
  logit_scale_exp: number;
  config: Parameters<typeof textSpec>[0];
}

const golden = fixtureTensors("text/text.safetensors");
const facts = fixtureJson<TextFixture>("text/expected.json");
const tower = fixtureTensors("text/text_tower_f16.safetensors");

/** The stored rows of token ids that belong to texts. */
async function storedIds(name: string, indices: readonly number[]): Promise<EncoderInputs> {
  const all = await integers(golden, name);
  const [, length = 0] = tensorOf(golden, name).shape;
  const data = Float32Array.from(indices.flatMap((row) => [...all.subarray(row * length, (row + 1) * length)]));
  return { data, shape: [indices.length, length] };
}

/** The text tower and prompt embeddings against the golden numbers, on one backend. */
export function textSuite(backend: Backend): void {
  describe(`the text encoder on ${backend.id}`, () => {
    it("embeds the prompts", async () => {
      await backend.activate();
      const before = tf.memory().numTensors;
      const encoder = await backend.compile(textSpec(facts.config), await hostTensors(tower), [], isotropic());
      const composed = await encoder.compose(encoder.initialCoefficients());
      const features = await encode(composed, await storedIds("prompt_tokens", facts.prompts.map((_, row) => row)), 4);
      const limit = tolerance("text.embeddings_and_head");
      closeTo(await features.data(), await floats(golden, "prompt_embeddings"), limit, "prompt embeddings");
      const unit = normaliseRows(features);
      closeTo(await unit.data(), await floats(golden, "prompt_embeddings_normalized"), limit, "normalised prompt embeddings");
      tf.dispose([features, unit]);

      composed.dispose();
      encoder.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });
  });
}

/** The zero-shot head of class names and templates against the golden numbers, on one backend. */
export function zeroShotSuite(backend: Backend): void {
  describe(`the zero-shot head on ${backend.id}`, () => {
    it("has the golden weights", async () => {
      await backend.activate();
      const before = tf.memory().numTensors;
      const encoder = await backend.compile(textSpec(facts.config), await hostTensors(tower), [], isotropic());
      const tokenizer = await ClipTokenizer.openAi(textSpec(facts.config).contextLength);
      const [logitScale = 0] = await floats(tower, "logit_scale");
      closeTo(Math.exp(logitScale), facts.logit_scale_exp, tolerance("text.embeddings_and_head"), "scale");
      const head = await zeroShotHead({
        encoder,
        tokenize: (texts) => tokenizer.encode(texts),
        classNames: facts.classnames,
        templates: facts.templates,
        logitScale,
        name: "golden",
        batchSize: 6,
      });
      closeTo(head.weight, await floats(golden, "zeroshot_head_weight"), tolerance("text.embeddings_and_head"), "weights");
      expect(await floats(golden, "zeroshot_head_bias")).toEqual(new Float32Array(facts.classnames.length));
      encoder.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });
  });
}
