import type { LabelledFeatures } from "./adapter.js";
import { InputError } from "./errors.js";
import type { HostTensor, NamedHostTensors } from "./state-dict.js";

/** Features divided by their Euclidean lengths, rows × D. */
export function unitRows({ features, width }: Pick<LabelledFeatures, "features" | "width">): Float32Array {
  const out = new Float32Array(features.length);
  for (let from = 0; from < features.length; from += width) {
    let sum = 0;
    for (let i = from; i < from + width; i++) sum += features[i]! * features[i]!;
    const length = Math.sqrt(sum);
    for (let i = from; i < from + width; i++) out[i] = features[i]! / length;
  }
  return out;
}

/**
 * Checks that an adapter can be fitted to features.
 * @param where the adapter, for the message.
 * @throws InputError without any row, for a width that is not the head's, and for a label that it has no class for.
 */
export function checkLabelledFeatures({ features, width, labels }: LabelledFeatures, head: { readonly classNames: readonly string[]; readonly width: number }, where: string): void {
  const classes = head.classNames.length;
  if (labels.length === 0) throw new InputError({ where, got: "no labelled features", expected: "at least one" });
  if (width !== head.width || features.length !== labels.length * width) {
    throw new InputError({ where, got: `${features.length} values in rows of ${width}`, expected: `${labels.length} rows of ${head.width}` });
  }
  const wrong = labels.findIndex((label) => label < 0 || label >= classes);
  if (wrong >= 0) throw new InputError({ where, got: `label ${labels[wrong]} at ${wrong}`, expected: `labels from 0 to ${classes - 1}` });
}

/** The values of one tensor of a saved adapter. @throws InputError unless it is float32 and of that shape; null is any extent. */
export function savedTensor(state: NamedHostTensors, name: string, shape: readonly (number | null)[], where: string): Extract<HostTensor, { dtype: "F32" }> {
  const tensor = state.get(name);
  const fits = tensor?.shape.length === shape.length && shape.every((extent, axis) => extent === null || extent === tensor.shape[axis]);
  if (tensor?.dtype === "F32" && fits) return tensor;
  throw new InputError({
    where: `${where}, tensor "${name}"`,
    got: tensor === undefined ? "nothing" : `${tensor.dtype} [${tensor.shape.join(", ")}]`,
    expected: `F32 [${shape.map((extent) => extent ?? "any").join(", ")}]`,
  });
}
