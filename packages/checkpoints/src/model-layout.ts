/** What the files of a model are called, and what is in them; the same in a folder on disk and behind a URL. */
import { classificationHead, InputError, readFloat32, type ClassificationHead } from "@atlas-tv/core";
import { z } from "zod";
import { jsonField } from "./artefact.js";
import type { TensorFile } from "./tensor-file.js";

/** File names of the layout that the reference implementation uses, without their extension. */
export const BASE = "zeroshot";
export const FINETUNED = "finetuned";
export const TASK_VECTOR = "task_vector";

export const CONFIG_FILE = "open_clip_config.json";

/** Fine-tuned models carry the name of the split they were trained on. */
export const SUFFIX = "Val";

const triple = z.tuple([z.number(), z.number(), z.number()]);

/** open_clip's config of a model: its architecture, and how its images are normalised. */
export const configSchema = z.object({
  model_cfg: z.record(z.string(), z.unknown()),
  preprocess_cfg: z.object({ mean: triple, std: triple }).optional(),
});

const classNamesSchema = jsonField(z.array(z.string()));

/**
 * The JSON value of a file's text.
 * @param what for messages: what the file should hold.
 * @throws InputError that names the field at fault.
 */
export function parseJson<T>(text: string, schema: z.ZodType<T>, where: string, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InputError({ where, got: cause instanceof Error ? cause.message : String(cause), expected: what }, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InputError({ where: `${where}, field "${issue?.path.join(".") ?? ""}"`, got: issue?.message ?? "something else", expected: what });
}

/** @throws InputError as `parseJson`. */
export function parseModelConfig(text: string, where: string): z.output<typeof configSchema> {
  return parseJson(text, configSchema, where, "open_clip's config: { model_cfg, preprocess_cfg }");
}

/**
 * The zero-shot head that a file holds: `weight` `[classes, width]`, and the classes' names in the metadata.
 * @throws InputError when it holds something else.
 */
export async function decodeHead({ tensors, metadata }: TensorFile, name: string, where: string): Promise<ClassificationHead> {
  const weight = tensors.get("weight");
  if (weight?.shape.length !== 2) {
    const got = weight === undefined ? 'no tensor "weight"' : `weight of shape [${weight.shape.join(", ")}]`;
    throw new InputError({ where, got, expected: "a head: weight [classes, width]" });
  }
  const [classes = 0, width = 0] = weight.shape;
  const named = classNamesSchema.safeParse(metadata["class_names"] ?? "[]");
  const classNames = named.success && named.data.length === 0 ? Array.from({ length: classes }, (_, label) => String(label)) : named.data;
  if (classNames?.length !== classes) {
    const got = classNames === undefined ? "class_names that are not a JSON list of texts" : `${classNames.length} class names`;
    throw new InputError({ where, got, expected: `${classes} class names, one for each row of the weight` });
  }
  return classificationHead({ name, classNames, weight: await readFloat32(weight, "weight"), width });
}
