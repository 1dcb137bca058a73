import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { visionSpec, type VitClipConfigInput } from "@atlas-tv/clip";
import { PlainBackend, widen } from "../src/index.js";
import { layerNorm, residualBlocks } from "../src/transformer.js";
import { classTokens, embedImages, vitFeatures } from "../src/vit.js";
import { closeTo, fixtureCheckpoint, fixtureImages, fixtureJson, fixtureTensors, floats, tensorOf, tolerance } from "./fixture-files.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

const golden = fixtureTensors("encoder/encoder.safetensors");
const spec = visionSpec(fixtureJson<VitClipConfigInput>("checkpoints/open_clip_config.json"));
const { prefix, layers } = spec;

/** Activations of the network inside, by the fixture's names. */
function activations(blocks: ReadonlyMap<string, tf.Tensor>, images: tf.Tensor): Record<string, tf.Tensor> {
  const parameters = (name: string): tf.Tensor => blocks.get(name)!;
  const batch = images.shape[0]!;
  const embeddings = embedImages(spec, parameters, images);
  const rows = layerNorm(embeddings, `${prefix}ln_pre`, parameters);
  const after = Array.from({ length: layers }, (_, layer) => residualBlocks(rows, { ...spec, layers: layer + 1 }, batch, null, prefix, parameters));
  return {
    embeddings,
    ln_pre: rows,
    ...Object.fromEntries(after.map((tensor, layer) => [`resblock_${layer}`, tensor])),
    ln_post_cls: layerNorm(classTokens(spec, after.at(-1)!, batch), `${prefix}ln_post`, parameters),
    features: vitFeatures(spec, parameters, images),
  };
}

describe.each(PLAIN_BACKENDS)("inside the vision transformer on tfjs-%s", (name) => {
  it("the activations are the golden ones", async () => {
    await new PlainBackend(name).activate();
    const base = await fixtureCheckpoint("zeroshot");
    const { data, shape } = await fixtureImages(0, tensorOf(golden, "debug.embeddings").shape[0]);
    const found = tf.tidy(() => {
      const blocks = new Map(spec.blocks.map((block) => [block.name, tf.tensor(widen(base.get(block.name)!), [...block.shape])]));
      return activations(blocks, tf.tensor(data, [...shape]));
    });
    const names = [...golden.keys()].filter((key) => key.startsWith("debug.")).map((key) => key.slice("debug.".length));
    expect(Object.keys(found)).toEqual(names);
    for (const [key, tensor] of Object.entries(found)) {
      closeTo(await tensor.data(), await floats(golden, `debug.${key}`), tolerance("encoder.features"), key);
    }
    tf.dispose(found);
  });
});
