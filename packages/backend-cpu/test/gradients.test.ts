import {
  blockwise, compileDefault, dense, inputTensor, isotropic, Random,
  type CompiledEncoder, type Composition, type EncoderInputs, type GeneralComposition, type NamedArrays,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { closeTo } from "../../core/test/fixture-files.js";
import { CpuBackend } from "../src/index.js";
import { SMALL_SPECS, smallInputs, smallModel } from "./small-models.js";

/** Blockwise, as a backend sees a rule that it does not know. */
function opaque(): GeneralComposition {
  const { id, shapes, initial, compose, reduce } = blockwise();
  return { id, kind: "general", shapes, initial, compose, reduce };
}

const COMPOSITIONS: Readonly<Record<string, () => Composition>> = { dense, isotropic, blockwise, opaque };
const FEATURES = 1e-5;
const GRADIENTS = 5e-5;
const backend = new CpuBackend();

/** Coefficients off their initial values. */
function coefficientsOf(encoder: CompiledEncoder): NamedArrays {
  const random = new Random("coefficients");
  return Object.fromEntries(Object.entries(encoder.initialCoefficients()).map(([name, values]) => {
    const own = random.fork(name);
    return [name, values.map((value) => value + 0.05 * own.normal())];
  }));
}

/** Features, features without gradient, and the gradients of ⟨features, random numbers⟩. */
async function evaluate(
  encoder: CompiledEncoder,
  inputs: EncoderInputs,
): Promise<{ features: Float32Array; alone: Float32Array; gradients: NamedArrays }> {
  const composed = await encoder.compose(coefficientsOf(encoder));
  const tensor = inputTensor(inputs);
  const pass = await composed.forward(tensor);
  const random = new Random("direction");
  const direction = tf.tensor2d(Float32Array.from({ length: pass.features.size }, () => random.normal()), pass.features.shape);
  const alone = await composed.features(tensor);
  tensor.dispose();
  const result = {
    features: Float32Array.from(await pass.features.data()),
    alone: Float32Array.from(await alone.data()),
    gradients: await pass.backward(direction),
  };
  pass.dispose();
  composed.dispose();
  tf.dispose([direction, alone]);
  return result;
}

/** A bias of keys moves all scores of a head alike: its gradient is 0, of which the default implementation rounds. */
function expectVanishing(actual: NamedArrays, expected: NamedArrays, bias: string): void {
  const largest = Math.max(...expected[bias.replace("bias", "weight")]!.map(Math.abs));
  expect(Math.max(...expected[bias]!.map(Math.abs)), bias).toBeLessThan(GRADIENTS * largest);
  expect(new Set(actual[bias]!.map(Math.abs)), bias).toEqual(new Set([0]));
}

describe.each(Object.keys(SMALL_SPECS))("programs of a %s", (name) => {
  const spec = SMALL_SPECS[name]!;
  const { base, vectors } = smallModel(spec, 3);

  const cases = Object.keys(COMPOSITIONS).flatMap((composition) => [[composition, "standard"], [composition, "linearised"]] as const);

  it.each(cases)("give the default implementation's features and gradients, %s, %s", async (composition, mode) => {
    await backend.activate();
    const before = tf.memory().numTensors;
    const inputs = smallInputs(spec, 4);
    const make = COMPOSITIONS[composition]!;
    const reference = await compileDefault(spec, base, vectors, make(), { mode });
    const expected = await evaluate(reference, inputs);
    reference.dispose();
    for (const options of [{}, { recompute: true }, { microBatch: 3, threads: 1 }]) {
      const encoder = await backend.compile(spec, base, vectors, make(), { ...options, mode });
      const actual = await evaluate(encoder, inputs);
      encoder.dispose();
      closeTo(actual.features, expected.features, FEATURES, "features");
      closeTo(actual.alone, expected.features, FEATURES, "features without gradient");
      expect(Object.keys(actual.gradients)).toEqual(Object.keys(expected.gradients));
      for (const [parameter, gradient] of Object.entries(expected.gradients)) {
        if (parameter.endsWith("k_proj.bias")) expectVanishing(actual.gradients, expected.gradients, parameter);
        else closeTo(actual.gradients[parameter]!, gradient, GRADIENTS, parameter);
      }
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});
