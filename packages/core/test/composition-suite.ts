import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  blockwise, composeWeights, crossEntropy, difference, encode, headLogits, isotropic, lossAndGradients, widen,
  type Backend, type Composition, type NamedHostTensors, type TaskVector,
} from "../src/index.js";
import {
  checkpointFacts, closeTo, fixtureBatchSize, fixtureCheckpoint, fixtureHead, fixtureImages, fixtureJson, fixtureLabels, fixtureTensors,
  floats, tolerance,
} from "./fixture-files.js";

export interface CompositionCase {
  make: () => Composition;
  mode: "standard" | "linearised";
  storage: "F16" | "F32";
}

/** The cases whose composition is among those of `core`. */
export const COMPOSITION_CASES = {
  isotropic: { make: isotropic, mode: "standard", storage: "F16" },
  blockwise: { make: blockwise, mode: "standard", storage: "F16" },
  blockwise_unrounded_tv: { make: blockwise, mode: "standard", storage: "F32" },
  linearized_blockwise: { make: blockwise, mode: "linearised", storage: "F16" },
  linearized_isotropic: { make: isotropic, mode: "linearised", storage: "F16" },
} as const satisfies Readonly<Record<string, CompositionCase>>;

const golden = fixtureTensors("composition/composition.safetensors");
const expected = fixtureJson<{ coef_shape: Record<string, number[]>; loss: Record<string, number> }>("composition/expected.json");
const spec = visionSpec(fixtureJson("checkpoints/open_clip_config.json"), { includeLeftovers: true });

async function models(storage: "F16" | "F32"): Promise<{ base: NamedHostTensors; vectors: TaskVector[] }> {
  const base = await fixtureCheckpoint("zeroshot");
  const indices = Array.from({ length: checkpointFacts().vectors }, (_, i) => i);
  const vectors = await Promise.all(indices.map(async (i) => {
    return difference(`tv${i}`, base, await fixtureCheckpoint(`finetuned_${i}`), storage);
  }));
  return { base, vectors };
}

/** `<case>.<part>.<block>` tensors of the fixture, by block name. */
function partsOf(name: string, part: string): string[] {
  const prefix = `${name}.${part}.model.`;
  return [...golden.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
}

/** Composed features, loss and coefficient gradient against the golden numbers, on one backend. */
export function compositionSuite(backend: Backend, cases: Readonly<Record<string, CompositionCase>> = COMPOSITION_CASES): void {
  describe(`composition on ${backend.id}`, () => {
    it.each(Object.keys(cases))("%s gives the features, logits, loss and coefficient gradient", async (name) => {
      await backend.activate();
      const { make, mode, storage } = cases[name]!;
      const { base, vectors } = await models(storage);
      // The unrounded case shares the coefficients of the rounded one.
      const coef = await floats(golden, golden.has(`${name}.coef`) ? `${name}.coef` : "blockwise.coef");
      const head = await fixtureHead(0);
      const batch = fixtureBatchSize();
      const images = await fixtureImages(0, batch);
      const labels = await fixtureLabels(0, 0, batch);

      const before = tf.memory().numTensors;
      const encoder = await backend.compile(spec, base, vectors, make(), { mode });
      const composed = await encoder.compose({ coef });
      const features = await encode(composed, images);
      const logits = headLogits(head, features);
      closeTo(await features.data(), await floats(golden, `${name}.features`), tolerance("composition.features"), "features");
      if (golden.has(`${name}.logits`)) {
        closeTo(await logits.data(), await floats(golden, `${name}.logits`), tolerance("composition.logits"), "logits");
      }
      if (mode === "linearised") {
        const origin = await encoder.compose(encoder.initialCoefficients());
        const atBase = await encode(origin, images);
        closeTo(await atBase.data(), await floats(golden, `${name}.f0`), tolerance("composition.features"), "features of the base");
        const change = tf.sub(features, atBase);
        closeTo(await change.data(), await floats(golden, `${name}.jvp`), tolerance("composition.jvp"), "J Δ");
        tf.dispose([atBase, change]);
        origin.dispose();
      }
      tf.dispose([features, logits]);

      const loss = ([own]: tf.Tensor2D[]): tf.Scalar => crossEntropy(headLogits(head, own!), labels);
      const result = await lossAndGradients([{ ...images, encoder: composed }], loss);
      closeTo(result.loss, expected.loss[name]!, tolerance("composition.loss"), "loss");
      const gradient = result.encoders.get(composed)!["coef"]!;
      const wanted = await floats(golden, `${name}.grad_coef`);
      closeTo(gradient, wanted, tolerance("composition.grad_coef"), "gradient");
      wanted.forEach((value, i) => { if (value === 0) expect(gradient[i], `gradient ${i}`).toBe(0); });

      const parts = await lossAndGradients([{ ...images, encoder: composed }], loss, {}, { microBatch: 2 });
      closeTo(parts.encoders.get(composed)!["coef"]!, wanted, tolerance("composition.grad_coef"), "gradient in micro-batches");
      composed.dispose();
      encoder.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });

    it.each(Object.keys(cases).filter((name) => golden.has(`${name}.coef`)))("%s composes the blocks", async (name) => {
      await backend.activate();
      const { make, mode, storage } = cases[name]!;
      const { base, vectors } = await models(storage);
      const coef = await floats(golden, `${name}.coef`);
      const part = mode === "linearised" ? "delta" : "composed";
      const blocks = partsOf(name, part);
      expect(blocks.length).toBeGreaterThan(0);
      const zeros: NamedHostTensors = new Map([...base].map(([block, { shape, data }]) => {
        return [block, { dtype: "F32", shape, data: new Float32Array(data.length) }];
      }));
      const origin = mode === "linearised" ? zeros : base;
      const composition = make();
      const coefShape = composition.shapes(spec.blocks, vectors.length)["coef"]!;
      expect(coefShape).toEqual(expected.coef_shape[name]);
      const weights = await composeWeights(spec.blocks, origin, vectors, composition, { coef });
      for (const block of blocks) {
        const own = weights.get(block)!;
        closeTo(widen(own), await floats(golden, `${name}.${part}.model.${block}`), tolerance("composition.features"), block);
        const index = spec.blocks.findIndex((candidate) => candidate.name === block);
        const composed = tf.tidy(() => composition.compose(
          { block: spec.blocks[index]!, index, count: spec.blocks.length },
          tf.tensor(widen(origin.get(block)!), [...own.shape]),
          vectors.map(({ blocks: steps }) => tf.tensor(widen(steps.get(block)!), [...own.shape])),
          { coef: tf.tensor(coef, coefShape) },
        ));
        const wanted = await floats(golden, `${name}.${part}.model.${block}`);
        closeTo(await composed.data(), wanted, tolerance("composition.features"), `${block} on tensors`);
        composed.dispose();
      }
    });
  });
}
