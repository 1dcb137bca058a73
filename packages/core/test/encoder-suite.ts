import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import { crossEntropy, encode, headLogits, isotropic, type Backend } from "../src/index.js";
import {
  closeTo, fixtureCheckpoint, fixtureHead, fixtureImages, fixtureJson, fixtureLabels, fixtureTensors, floats, tolerance,
} from "./fixture-files.js";

const golden = fixtureTensors("encoder/encoder.safetensors");
const expected = fixtureJson<{ loss: Record<string, number>; top1: Record<string, number> }>("encoder/expected.json");
const config = fixtureJson("checkpoints/open_clip_config.json");

const models = [...golden.keys()].filter((name) => name.startsWith("features.")).map((name) => name.slice("features.".length));

/** Accuracy of logits `(batch, C)`. */
async function top1(logits: tf.Tensor2D, labels: Int32Array): Promise<number> {
  const predicted = tf.tidy(() => tf.argMax(logits, 1));
  const classes = await predicted.data();
  predicted.dispose();
  return labels.filter((label, row) => label === classes[row]).length / labels.length;
}

/** Features, logits, losses and accuracies of whole checkpoints against the golden numbers, on one backend. */
export function encoderSuite(backend: Backend): void {
  describe(`the image encoder on ${backend.id}`, () => {
    it.each(models)("gives the features, logits, losses and accuracies of %s", async (model) => {
      await backend.activate();
      const before = tf.memory().numTensors;
      const encoder = await backend.compile(visionSpec(config), await fixtureCheckpoint(model), [], isotropic());
      const composed = await encoder.compose(encoder.initialCoefficients());
      const features = await encode(composed, await fixtureImages());
      closeTo(await features.data(), await floats(golden, `features.${model}`), tolerance("encoder.features"), "features");

      const prefix = `logits.${model}.head_`;
      const heads = [...golden.keys()].filter((name) => name.startsWith(prefix)).map((name) => Number(name.slice(prefix.length)));
      expect(heads.length).toBeGreaterThan(0);
      for (const index of heads) {
        const labels = await fixtureLabels(index);
        const logits = headLogits(await fixtureHead(index), features);
        const loss = crossEntropy(logits, labels);
        closeTo(await logits.data(), await floats(golden, `${prefix}${index}`), tolerance("encoder.logits"), "logits");
        closeTo(await loss.data(), [expected.loss[`${model}.head_${index}`]!], tolerance("encoder.loss"), "loss");
        expect(await top1(logits, labels)).toBeCloseTo(expected.top1[`${model}.head_${index}`]!, 6);
        tf.dispose([logits, loss]);
      }
      features.dispose();
      composed.dispose();
      encoder.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });
  });
}
