import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { EncoderSpec } from "./encoder-spec.js";
import { InputError } from "./errors.js";
import { resNetFeatures } from "./modified-resnet.js";
import { textFeatures } from "./text-transformer.js";
import type { Parameters } from "./transformer.js";
import { vitFeatures } from "./vit.js";

/**
 * Features `(batch, D)` of inputs, differentiable in the parameters; the buffers are constants of the base model. Runs
 * inside `tf.tidy`.
 */
export type EncoderFunction = (parameters: Parameters, inputs: Tensor, buffers: Parameters) => Tensor2D;

type Family = EncoderSpec["family"];

type SpecOf<F extends Family> = Extract<EncoderSpec, { family: F }>;

const FAMILIES: {
  readonly [F in Family]: (spec: SpecOf<F>, parameters: Parameters, inputs: Tensor, buffers: Parameters) => Tensor2D
} = {
  vit: vitFeatures,
  text: textFeatures,
  resnet: resNetFeatures,
};

/**
 * The forward pass of a spec, in ordinary tfjs operations: the definition of correct.
 * @throws InputError listing the families there are.
 */
export function encoderFunction<F extends Family>(spec: SpecOf<F>): EncoderFunction {
  const family = spec.family as F;
  if (Object.hasOwn(FAMILIES, family)) {
    const features = FAMILIES[family];
    return (parameters, inputs, buffers) => features(spec, parameters, inputs, buffers);
  }
  throw new InputError({
    where: "encoder family",
    got: `"${family}"`,
    expected: `one of ${Object.keys(FAMILIES).join(", ")}`,
    next: "take a model of one of these families",
  });
}
