import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import {
  classificationHead, InputError, CLIP_NORMALISATION, readFloat32,
  type ClassificationHead, type EncoderSpec, type NamedHostTensors, type Normalisation, type TaskVector,
} from "@atlas-tv/core";
import { z } from "zod";
import { jsonField } from "./artefact.js";
import { readCheckpoint } from "./checkpoint-file.js";
import { loadBase, loadTaskVector, taskVectorFromCheckpoints } from "./model-weights.js";

/** File names of the layout that the reference implementation uses, without their extension. */
const BASE = "zeroshot";
const FINETUNED = "finetuned";
const TASK_VECTOR = "task_vector";

/** Fine-tuned models carry the name of the split they were trained on. */
const SUFFIX = "Val";

const triple = z.tuple([z.number(), z.number(), z.number()]);
const configSchema = z.object({
  model_cfg: z.record(z.string(), z.unknown()),
  preprocess_cfg: z.object({ mean: triple, std: triple }).optional(),
});

const classNamesSchema = jsonField(z.array(z.string()));

const accuraciesSchema = z.record(z.string(), z.number());

/**
 * A model, its fine-tuned variants and its heads, laid out as the reference has them:
 * `zeroshot.safetensors`, `<Task>Val/finetuned.safetensors` or `<Task>Val/task_vector.safetensors`,
 * `head_<Task>Val.safetensors`, `open_clip_config.json`.
 */
export interface ModelFolder {
  readonly name: string;
  readonly path: string;
  /** The `model_cfg` of `open_clip_config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly normalisation: Normalisation;
  /** Tasks that have a fine-tuned model or a task vector, in alphabetical order. */
  readonly tasks: readonly string[];
  /** The file of θ0. */
  readonly basePath: string;
  /** The file a task vector is read from. */
  taskPath(task: string): string;
  base(spec: EncoderSpec): Promise<NamedHostTensors>;
  taskVector(task: string, spec: EncoderSpec): Promise<TaskVector>;
  /** The saved zero-shot head of a data set; null when there is none. */
  head(task: string): Promise<ClassificationHead | null>;
  /** `zeroshot_accuracies.json` or `ft_accuracies.json`, by task; empty when the file is absent. */
  accuracies(file: "zeroshot_accuracies" | "ft_accuracies"): Readonly<Record<string, number>>;
}

function readJson<T>(path: string, schema: z.ZodType<T>, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new InputError({ where: path, got: cause instanceof Error ? cause.message : String(cause), expected: what }, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InputError({ where: `${path}, field "${issue?.path.join(".") ?? ""}"`, got: issue?.message ?? "something else", expected: what });
}

function tasksOf(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.endsWith(SUFFIX))
    .map((entry) => entry.name.slice(0, -SUFFIX.length))
    .filter((task) => [FINETUNED, TASK_VECTOR].some((file) => existsSync(join(path, `${task}${SUFFIX}`, `${file}.safetensors`))))
    .sort();
}

async function readHead(path: string, name: string): Promise<ClassificationHead> {
  return readCheckpoint(path, async ({ tensors, metadata }) => {
    const weight = tensors.get("weight");
    if (weight?.shape.length !== 2) {
      throw new InputError({ where: path, got: weight === undefined ? "no tensor \"weight\"" : `weight of shape [${weight.shape.join(", ")}]`, expected: "a head: weight [classes, width]" });
    }
    const [classes = 0, width = 0] = weight.shape;
    const named = classNamesSchema.safeParse(metadata["class_names"] ?? "[]");
    const classNames = named.success && named.data.length === 0 ? Array.from({ length: classes }, (_, label) => String(label)) : named.data;
    if (classNames?.length !== classes) {
      const got = classNames === undefined ? "class_names that are not a JSON list of texts" : `${classNames.length} class names`;
      throw new InputError({ where: path, got, expected: `${classes} class names, one for each row of the weight` });
    }
    return classificationHead({ name, classNames, weight: await readFloat32(weight, "weight"), width });
  });
}

/** @throws InputError when the folder is not there, or holds no base model or no config. */
export function openModelFolder(path: string): ModelFolder {
  const expected = `a folder with ${BASE}.safetensors and open_clip_config.json`;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new InputError({ where: path, got: existsSync(path) ? "a file" : "nothing there", expected });
  }
  const basePath = join(path, `${BASE}.safetensors`);
  if (!existsSync(basePath)) throw new InputError({ where: path, got: `no ${BASE}.safetensors`, expected });
  const { model_cfg: config, preprocess_cfg: pixels } = readJson(join(path, "open_clip_config.json"), configSchema, "open_clip's config: { model_cfg, preprocess_cfg }");
  const tasks = tasksOf(path);

  const taskPath = (task: string): string => {
    if (!tasks.includes(task)) {
      throw new InputError({ where: `task vector "${task}"`, got: `nothing of that name in ${path}`, expected: tasks.length === 0 ? "a fine-tuned model; there is none" : `one of ${tasks.join(", ")}` });
    }
    const vector = join(path, `${task}${SUFFIX}`, `${TASK_VECTOR}.safetensors`);
    return existsSync(vector) ? vector : join(path, `${task}${SUFFIX}`, `${FINETUNED}.safetensors`);
  };

  return {
    name: basename(resolve(path)),
    path,
    config,
    normalisation: pixels ?? CLIP_NORMALISATION,
    tasks,
    basePath,
    taskPath,
    base: (spec) => readCheckpoint(basePath, ({ tensors }) => loadBase(spec, tensors, basePath)),
    taskVector: (task, spec) => {
      const from = taskPath(task);
      return readCheckpoint(from, ({ tensors }) =>
        from.endsWith(`${TASK_VECTOR}.safetensors`)
          ? loadTaskVector(spec, tensors, from, task)
          : readCheckpoint(basePath, (base) => taskVectorFromCheckpoints(task, spec, base.tensors, tensors, "F16")));
    },
    head: async (task) => {
      const file = join(path, `head_${task}${SUFFIX}.safetensors`);
      return existsSync(file) ? readHead(file, task) : null;
    },
    accuracies: (file) => {
      const at = join(path, `${file}.json`);
      return existsSync(at) ? readJson(at, accuraciesSchema, "accuracies by task") : {};
    },
  };
}
