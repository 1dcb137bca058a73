import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { encode, isotropic, PlainBackend, type EncoderInputs, type EncoderSpec, type HostTensor, type NamedHostTensors } from "@atlas-tv/core";
import {
  closeTo, fixtureImages, fixtureJson, fixtureTensors, floats, hostTensors, integers, tensorOf, tolerance,
} from "../../core/test/fixture-files.js";
import { PLAIN_BACKENDS } from "../../core/test/plain-backends.js";
import { textSpec, visionSpec } from "../src/index.js";

const config = fixtureJson("checkpoints/open_clip_config.json");
const golden = fixtureTensors("checkpoints/hf/fixture.safetensors");

/** Without the integer buffers, which say nothing. */
const parameters = new Map([...fixtureTensors("checkpoints/hf/model.safetensors")].filter(([name]) => !name.endsWith("position_ids")));

/** Hugging Face's names of what open_clip calls otherwise, piece by piece. */
const RENAMED: readonly (readonly [string, string])[] = [
  ["transformer.resblocks.", "encoder.layers."],
  [".ln_1.", ".layer_norm1."],
  [".ln_2.", ".layer_norm2."],
  [".attn.out_proj.", ".self_attn.out_proj."],
  [".mlp.c_fc.", ".mlp.fc1."],
  [".mlp.c_proj.", ".mlp.fc2."],
  ["ln_pre.", "pre_layrnorm."],
  ["ln_post.", "post_layernorm."],
  ["ln_final.", "final_layer_norm."],
  ["conv1.", "embeddings.patch_embedding."],
  ["class_embedding", "embeddings.class_embedding"],
  ["token_embedding.", "embeddings.token_embedding."],
  ["positional_embedding", "embeddings.position_embedding.weight"],
];

function transposed({ shape, data }: HostTensor): HostTensor {
  const [rows = 0, columns = 0] = shape;
  return { dtype: "F32", shape: [columns, rows], data: Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!) };
}

function joined(parts: readonly HostTensor[]): HostTensor {
  const [rows = 0, ...rest] = parts[0]!.shape;
  return { dtype: "F32", shape: [rows * parts.length, ...rest], data: Float32Array.from(parts.flatMap(({ data }) => [...data])) };
}

/** A block of ours out of a Hugging Face model. */
function blockOf(model: NamedHostTensors, name: string): HostTensor {
  const take = (theirs: string): HostTensor => model.get(theirs)!;
  if (name === "visual.proj") return transposed(take("visual_projection.weight"));
  if (name === "text_projection") return transposed(take("text_projection.weight"));
  const side = name.startsWith("visual.") ? "vision_model." : "text_model.";
  const theirs = side + RENAMED.reduce((text, [own, other]) => text.replace(own, other), name.replace(/^visual\./, ""));
  const merged = /^(.*)\.attn\.in_proj_(weight|bias)$/.exec(theirs);
  if (merged === null) return take(theirs);
  return joined(["q", "k", "v"].map((part) => take(`${merged[1]!}.self_attn.${part}_proj.${merged[2]!}`)));
}

async function features(spec: EncoderSpec, inputs: EncoderInputs, backend: PlainBackend): Promise<Float32Array> {
  const model = await hostTensors(parameters);
  const base = new Map(spec.blocks.map(({ name }) => [name, blockOf(model, name)]));
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
