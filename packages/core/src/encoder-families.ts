import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { EncoderSpec } from "./encoder-spec.js";
import { InputError } from "./errors.js";
import { textFeatures } from "./text-transformer.js";
import type { Parameters } from "./transformer.js";
import { vitFeatures } from "./vit.js";

/** Features `(batch, D)` of inputs, differentiable in the parameters. Runs inside `tf.tidy`. */
export type EncoderFunction = (parameters: Parameters, inputs: Tensor) => Tensor2D;

type Family = EncoderSpec["family"];

type SpecOf<F extends Family> = Extract<EncoderSpec, { family: F }>;

const FAMILIES: { readonly [F in Family]?: (spec: SpecOf<F>, parameters: Parameters, inputs: Tensor) => Tensor2D } = {
  vit: vitFeatures,
  text: textFeatures,
};

/**
 * The forward pass of a spec, in ordinary tfjs operations: the definition of correct.
 * @throws InputError listing the families there are.
 */
export function encoderFunction<F extends Family>(spec: SpecOf<F>): EncoderFunction {
  const features = FAMILIES[spec.family as F];
  if (features !== undefined) return (parameters, inputs) => features(spec, parameters, inputs);
  throw new InputError({
    where: "encoder family",
    got: `"${spec.family}"`,
    expected: `one of ${Object.keys(FAMILIES).join(", ")}`,
    next: "take a model of one of these families",
  });
}
