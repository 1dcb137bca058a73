import { InputError, inputShape, sameShape, type EncoderSpec } from "@atlas-tv/core";
import type { Tensor } from "@tensorflow/tfjs-core";

/** Images or token ids on the host. */
export type InputArray = Float32Array | Int32Array | Uint8Array;

/**
 * The values of inputs of the right shape.
 * @throws InputError for another shape, and for token ids beyond the vocabulary: they would be read past its table.
 */
export async function readInputs(spec: EncoderSpec, inputs: Tensor): Promise<InputArray> {
  const expected = inputShape(spec, inputs.shape[0] ?? 0);
  if (!sameShape(inputs.shape, expected)) {
    throw new InputError({
      where: `inputs of the ${spec.family} encoder`,
      got: `shape [${inputs.shape.join(", ")}]`,
      expected: `shape [batch, ${expected.slice(1).join(", ")}]`,
    });
  }
  const values = await inputs.data();
  if (spec.family !== "text") return values;
  for (const id of values) {
    if (Number.isInteger(id) && id >= 0 && id < spec.vocabularySize) continue;
    throw new InputError({
      where: "token ids",
      got: String(id),
      expected: `whole numbers from 0 to ${spec.vocabularySize - 1}`,
      next: "use the tokenizer of this model",
    });
  }
  return values;
}
