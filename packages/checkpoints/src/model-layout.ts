/** What the files of a model are called, and what is in them; the same in a folder on disk and behind a URL. */
import { classificationHead, InputError, readFloat32, type ClassificationHead, type HostTensor } from "@atlas-tv/core";
import { z } from "zod";
import { jsonField } from "./artefact.js";
import { canonicalTensors } from "./canonical-tensors.js";
import type { TensorFile } from "./tensor-file.js";
import type { WritableTensors } from "./safetensors-writer.js";
import { describeTensors } from "./tensors-description.js";

/** File names of the layout that the reference implementation uses, without their extension. */
export const BASE = "zeroshot";

/** Which fine-tuned models: of the network itself, or of its linearisation (Ortiz-Jimenez et al. 2023). */
export type FineTuning = "standard" | "linearised";

/** Files of a task, the one that is preferred first. */
export const TASK_FILES: Readonly<Record<FineTuning, readonly string[]>> = {
  standard: ["task_vector", "finetuned"],
  linearised: ["linear_task_vector", "linear_finetuned"],
};

/** Extensions that checkpoints have; what they are, their content tells. */
const EXTENSIONS = [".safetensors", ".safetensors.index.json", ".pt", ".pth", ".bin"];

/** Fine-tuned models carry the name of the split they were trained on. */
export const SUFFIX = "Val";

/** The file of a name without extension; undefined when there is none. */
export function fileOf(name: string, exists: (path: string) => boolean): string | undefined {
  return EXTENSIONS.map((extension) => name + extension).find(exists);
}

/** The file that a task's vector is read from; undefined when there is none. */
export function taskFile(task: string, kind: FineTuning, exists: (path: string) => boolean): string | undefined {
  return TASK_FILES[kind].map((name) => fileOf(`${task}${SUFFIX}/${name}`, exists)).find((path) => path !== undefined);
}

/** Whether a file holds a difference, and not a model. */
export function holdsVector(path: string): boolean {
  return /(^|[/\\])(linear_)?task_vector\.[^/\\]+$/.test(path);
}

/** A task that is not there. */
export function unknownTask(task: string, tasks: readonly string[], place: string): InputError {
  const expected = tasks.length === 0 ? "a fine-tuned model; there is none" : `one of ${tasks.join(", ")}`;
  return new InputError({ where: `task vector "${task}"`, got: `nothing of that name in ${place}`, expected });
}

const classNamesSchema = jsonField(z.array(z.string()));

/**
 * The zero-shot head that a file holds: `weight` `[classes, width]`, and the classes' names in the metadata. A bias must be
 * zero, as the reference's are.
 * @throws InputError when it holds something else.
 */
export async function decodeHead({ tensors, metadata }: TensorFile, name: string, where: string): Promise<ClassificationHead> {
  const weight = tensors.get("weight");
  if (weight?.shape.length !== 2) {
    const got = weight === undefined ? describeTensors(canonicalTensors(tensors, where)) : `weight of shape [${weight.shape.join(", ")}]`;
    throw new InputError({ where, got, expected: "a classification head: weight [classes, width]" });
  }
  const [classes = 0, width = 0] = weight.shape;
  const named = classNamesSchema.safeParse(metadata["class_names"] ?? "[]");
  const classNames = named.success && named.data.length === 0 ? Array.from({ length: classes }, (_, label) => String(label)) : named.data;
  if (classNames?.length !== classes) {
    const got = classNames === undefined ? "class_names that are not a JSON list of texts" : `${classNames.length} class names`;
    throw new InputError({ where, got, expected: `${classes} class names, one for each row of the weight` });
  }
  const bias = tensors.get("bias");
  if (bias !== undefined && (await readFloat32(bias, "bias")).some((value) => value !== 0)) {
    throw new InputError({ where, got: "a bias that is not zero", expected: "a zero-shot head, whose logits are normalise(f) · Wᵀ" });
  }
  return classificationHead({ name, classNames, weight: await readFloat32(weight, "weight"), width });
}

/** What to write for a head: its weight, and metadata with the classes' names. @param about further metadata. */
export function headFile(
  { classNames, weight, width }: ClassificationHead,
  about: Readonly<Record<string, string>> = {},
): { tensors: WritableTensors; metadata: Record<string, string> } {
  const tensor: HostTensor = { dtype: "F32", shape: [classNames.length, width], data: weight };
  return { tensors: new Map([["weight", tensor]]), metadata: { ...about, class_names: JSON.stringify(classNames) } };
}

/** The file of a data set's head within a model's folder. */
export function headFileName(task: string): string {
  return `head_${task}${SUFFIX}.safetensors`;
}
