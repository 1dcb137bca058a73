import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  blockwise, buffersOf, composeWeights, crossEntropy, dense, difference, encode, headLogits, isotropic, lossAndGradients, widen,
  type Backend, type ClassificationHead, type NamedHostTensors, type TaskVector,
} from "../src/index.js";
import { closeTo, fixtureJson, fixtureTensors, floats, hostTensors, imagesOf, integers, relativeError, tensorOf, tolerance } from "./fixture-files.js";

const golden = fixtureTensors("resnet/resnet.safetensors");
const expected = fixtureJson<{
  config: { layers: [number, number, number, number]; width: number; output_dim: number; heads: number; image_size: number };
  loss: number;
  blocks: string[];
}>("resnet/expected.json");
const { layers, width, output_dim: outputWidth, heads, image_size: imageSize } = expected.config;

/** Attention pooling of a ResNet has 32 times the channels of its stem. */
export const resNetSpec = visionSpec({
  embed_dim: outputWidth,
  vision_cfg: { image_size: imageSize, layers, width, head_width: (32 * width) / heads },
  text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 },
});

const FEATURES = "features_";
const models = [...golden.keys()].filter((name) => name.startsWith(FEATURES)).map((name) => name.slice(FEATURES.length));
const finetuned = models.filter((name) => name.startsWith("finetuned_"));

/** A whole file: parameters and buffers. */
function checkpoint(name: string): Promise<NamedHostTensors> {
  return hostTensors(fixtureTensors(`resnet/${name}.safetensors`));
}

async function baseAndVectors(): Promise<{ base: NamedHostTensors; vectors: TaskVector[] }> {
  const base = await checkpoint("zeroshot");
  return { base, vectors: await Promise.all(finetuned.map(async (name) => difference(name, base, await checkpoint(name)))) };
}

async function fixtureHead(): Promise<ClassificationHead> {
  const [classes = 0, columns = 0] = tensorOf(golden, "head_weight").shape;
  const classNames = Array.from({ length: classes }, (_, label) => `class ${label}`);
  return { name: "head", classNames, weight: await floats(golden, "head_weight"), width: columns };
}

/** CLIP's ResNet against the golden numbers, on one backend. */
export function resNetSuite(backend: Backend): void {
  describe(`the ResNet on ${backend.id}`, () => {
    it.each(models)("gives the features of %s, with its own running statistics", async (model) => {
      await backend.activate();
      const before = tf.memory().numTensors;
      const encoder = await backend.compile(resNetSpec, await checkpoint(model), [], isotropic());
      const composed = await encoder.compose(encoder.initialCoefficients());
      const features = await encode(composed, await imagesOf(golden, "images"));
      closeTo(await features.data(), await floats(golden, `${FEATURES}${model}`), tolerance("resnet.features"), "features");
      features.dispose();
      composed.dispose();
      encoder.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });

    it("gives the features, logits, loss and coefficient gradient of the composed model", async () => {
      await backend.activate();
      const { base, vectors } = await baseAndVectors();
      const images = await imagesOf(golden, "images");
      const labels = await integers(golden, "labels");
      const head = await fixtureHead();

      const before = tf.memory().numTensors;
      const encoder = await backend.compile(resNetSpec, base, vectors, blockwise());
      const composed = await encoder.compose({ coef: await floats(golden, "coef") });
      const features = await encode(composed, images);
      const logits = headLogits(head, features);
      closeTo(await features.data(), await floats(golden, "features"), tolerance("resnet.features"), "features");
      closeTo(await logits.data(), await floats(golden, "logits"), tolerance("resnet.features"), "logits");
      tf.dispose([features, logits]);

      const loss = ([own]: tf.Tensor2D[]): tf.Scalar => crossEntropy(headLogits(head, own!), labels);
      const wanted = await floats(golden, "grad_coef");
      for (const options of [{}, { microBatch: Math.ceil(labels.length / 2) }]) {
        const result = await lossAndGradients([{ ...images, encoder: composed }], loss, {}, options);
        closeTo(result.loss, expected.loss, tolerance("resnet.loss"), "loss");
        closeTo(result.encoders.get(composed)!["coef"]!, wanted, tolerance("resnet.grad_coef"), "gradient");
      }
      composed.dispose();
      encoder.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });

    it("composes the blocks, and leaves the running statistics those of the base", async () => {
      await backend.activate();
      const { base, vectors } = await baseAndVectors();
      const coef = await floats(golden, "coef");
      const weights = await composeWeights(resNetSpec.blocks, base, vectors, blockwise(), { coef });
      const prefix = "composed.";
      const names = [...golden.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
      expect(names.length).toBeGreaterThan(0);
      for (const name of names) {
        closeTo(widen(weights.get(name)!), await floats(golden, `${prefix}${name}`), tolerance("composition.features"), name);
      }
      expect(buffersOf(resNetSpec).length).toBeGreaterThan(0);
      for (const { name } of buffersOf(resNetSpec)) expect(weights.get(name), name).toEqual(base.get(name));
    });

    it("fine-tunes parameters alone: other running statistics give other features", async () => {
      await backend.activate();
      const [model] = finetuned;
      const own = await checkpoint(model!);
      const parameters = Object.fromEntries(resNetSpec.blocks.map(({ name }) => [name, widen(own.get(name)!)]));
      const features = async (base: NamedHostTensors): Promise<Float32Array> => {
        const encoder = await backend.compile(resNetSpec, base, [], dense());
        expect(Object.keys(encoder.initialCoefficients())).toEqual(expected.blocks);
        const composed = await encoder.compose(parameters);
        const tensor = await encode(composed, await imagesOf(golden, "images"));
        const values = Float32Array.from(await tensor.data());
        tensor.dispose();
        composed.dispose();
        encoder.dispose();
        return values;
      };
      const wanted = await floats(golden, `${FEATURES}${model}`);
      closeTo(await features(own), wanted, tolerance("resnet.features"), "with its own statistics");
      const limit = tolerance("resnet.features");
      const kept = await features(await checkpoint("zeroshot"));
      expect(relativeError(kept, wanted)).toBeGreaterThan(limit);
    });
  });
}
