import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { loadBase, readCheckpoint } from "@atlas-tv/checkpoints";
import { encode, isotropic, PlainBackend, type EncoderInputs, type EncoderSpec } from "@atlas-tv/core";
import {
  closeTo, fixtureImages, fixtureJson, fixturePath, fixtureTensors, floats, integers, tensorOf, tolerance,
} from "../../core/test/fixture-files.js";
import { PLAIN_BACKENDS } from "../../core/test/plain-backends.js";
import { clipConfigFromHuggingFace, textSpec, visionSpec } from "../src/index.js";

const config = clipConfigFromHuggingFace(fixtureJson<unknown>("checkpoints/hf/config.json"));
const golden = fixtureTensors("checkpoints/hf/fixture.safetensors");

async function features(spec: EncoderSpec, inputs: EncoderInputs, backend: PlainBackend): Promise<Float32Array> {
  const base = await readCheckpoint(fixturePath("checkpoints/hf"), ({ tensors, path }) => loadBase(spec, tensors, path));
  const encoder = await backend.compile(spec, base, [], isotropic());
  const composed = await encoder.compose(encoder.initialCoefficients());
  const tensor = await encode(composed, inputs);
  const values = Float32Array.from(await tensor.data());
  tensor.dispose();
  composed.dispose();
  encoder.dispose();
  return values;
}

describe.each(PLAIN_BACKENDS)("a whole CLIP in Hugging Face's naming, on tfjs-%s", (name) => {
  it("has the golden image and text features", async () => {
    const backend = new PlainBackend(name);
    await backend.activate();
    const before = tf.memory().numTensors;
    const limit = tolerance("hf_features");
    const images = await fixtureImages(0, tensorOf(golden, "image_features").shape[0]);
    closeTo(await features(visionSpec(config), images, backend), await floats(golden, "image_features"), limit, "image features");
    const tokens = { data: Float32Array.from(await integers(golden, "tokens")), shape: tensorOf(golden, "tokens").shape };
    closeTo(await features(textSpec(config), tokens, backend), await floats(golden, "text_features"), limit, "text features");
    expect(tf.memory().numTensors).toBe(before);
  });
});
