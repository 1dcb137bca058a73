import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import {
  InputError, CLIP_NORMALISATION,
  type ClassificationHead, type EncoderSpec, type NamedHostTensors, type Normalisation, type TaskVector,
} from "@atlas-tv/core";
import { z } from "zod";
import { readCheckpoint } from "./checkpoint-file.js";
import { BASE, CONFIG_FILE, decodeHead, FINETUNED, parseJson, parseModelConfig, SUFFIX, TASK_VECTOR } from "./model-layout.js";
import { loadBase, loadTaskVector, taskVectorFromCheckpoints } from "./model-weights.js";

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

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const expected = "a readable file";
    throw new InputError({ where: path, got: cause instanceof Error ? cause.message : String(cause), expected }, { cause });
  }
}

function tasksOf(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.endsWith(SUFFIX))
    .map((entry) => entry.name.slice(0, -SUFFIX.length))
    .filter((task) => [FINETUNED, TASK_VECTOR].some((file) => existsSync(join(path, `${task}${SUFFIX}`, `${file}.safetensors`))))
    .sort();
}

/** @throws InputError when the folder is not there, or holds no base model or no config. */
export function openModelFolder(path: string): ModelFolder {
  const expected = `a folder with ${BASE}.safetensors and ${CONFIG_FILE}`;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new InputError({ where: path, got: existsSync(path) ? "a file" : "nothing there", expected });
  }
  const basePath = join(path, `${BASE}.safetensors`);
  if (!existsSync(basePath)) throw new InputError({ where: path, got: `no ${BASE}.safetensors`, expected });
  const configPath = join(path, CONFIG_FILE);
  const { model_cfg: config, preprocess_cfg: pixels } = parseModelConfig(readText(configPath), configPath);
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
      return existsSync(file) ? readCheckpoint(file, (head) => decodeHead(head, task, file)) : null;
    },
    accuracies: (file) => {
      const at = join(path, `${file}.json`);
      return existsSync(at) ? parseJson(readText(at), accuraciesSchema, at, "accuracies by task") : {};
    },
  };
}
