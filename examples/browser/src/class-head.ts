import { zeroShotHead } from "@atlas-tv/clip";
import { classificationHead, dense, type Backend, type ClassificationHead, type LabelledFeatures } from "@atlas-tv/core";
import type { LoadedModel } from "./loaded-model.js";
import type { TextSide } from "./text-side.js";

export interface ClassHead {
  readonly head: ClassificationHead;
  /** From the class names by the text encoder, or from the mean features of the images to learn from. */
  readonly from: "names" | "images";
  /** What a person should know about it; empty when there is nothing to say. */
  readonly remark: string;
}

/** Words of a class name that the text encoder never saw, and how many words there are. */
function unknownWords(className: string, { knows }: TextSide): { unknown: string[]; count: number } {
  const words = className.split(/[^\p{L}\p{M}\p{N}]+/u).filter((word) => word !== "");
  return { unknown: words.filter((word) => !knows(word)), count: words.length };
}

/**
 * One prototype a class: the mean of its images' unit features, made a unit vector, times the scale of logits.
 * @param data features `(images, D)` of the pre-trained encoder.
 */
export function prototypeHead(classNames: readonly string[], data: LabelledFeatures, logitScale: number): ClassificationHead {
  const { features, labels, width } = data;
  const weight = new Float32Array(classNames.length * width);
  labels.forEach((label, row) => {
    const feature = features.subarray(row * width, (row + 1) * width);
    const length = Math.hypot(...feature);
    feature.forEach((value, i) => { weight[label * width + i]! += value / length; });
  });
  classNames.forEach((_, label) => {
    const row = weight.subarray(label * width, (label + 1) * width);
    const factor = Math.exp(logitScale) / Math.hypot(...row);
    row.forEach((value, i) => { row[i] = value * factor; });
  });
  return classificationHead({ name: "prototypes", classNames, weight, width });
}

/**
 * The frozen classifier of the classes: CLIP's zero-shot head where the model has words and knows at least one of every
 * class name, prototypes of the images otherwise.
 * @param templates prompts with `{}` for the class name.
 * @param features of the images to learn from, asked for when prototypes are needed.
 */
export async function classHead(
  model: LoadedModel,
  backend: Backend,
  classNames: readonly string[],
  templates: readonly string[],
  features: () => Promise<LabelledFeatures>,
): Promise<ClassHead> {
  const { text, logitScale } = model;
  const fromImages = async (reason: string): Promise<ClassHead> => ({
    head: prototypeHead(classNames, await features(), logitScale),
    from: "images",
    remark: `${reason} Classes are therefore told apart by the mean features of their images.`,
  });
  if (text === null) return fromImages("This model brings no text encoder whose words are known.");
  const found = classNames.map((name) => ({ name, ...unknownWords(name, text) }));
  const strange = found.find(({ unknown, count }) => unknown.length === count);
  if (strange !== undefined) return fromImages(`The model knows no word of the class name “${strange.name}”.`);
  const partly = found.flatMap(({ unknown }) => unknown);
  const encoder = await backend.compile(text.spec, text.weights, [], dense());
  try {
    const head = await zeroShotHead({ encoder, tokenize: text.tokenize, classNames, templates, logitScale, name: "classes" });
    return { head, from: "names", remark: partly.length === 0 ? "" : `The model does not know these words: ${partly.join(", ")}.` };
  } finally {
    encoder.dispose();
  }
}
