import {
  CLIP_NORMALISATION, InputError,
  type ClassificationHead, type EncoderSpec, type NamedHostTensors, type Normalisation, type TaskVector,
} from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { openTensors } from "./checkpoint-formats.js";
import { BASE, CONFIG_FILE, decodeHead, FINETUNED, parseModelConfig, SUFFIX, TASK_VECTOR } from "./model-layout.js";
import { loadBase, loadTaskVector, taskVectorFromCheckpoints } from "./model-weights.js";
import type { TensorFile } from "./tensor-file.js";

/** The files of a model where there is no file system: a folder that a person picked in a browser, or a place on the web. */
export interface ModelFiles {
  /** The model's name. */
  readonly name: string;
  /** Paths from the model's folder, with slashes: `CarsVal/task_vector.safetensors`. */
  readonly paths: readonly string[];
  /** @throws InputError when a listed file cannot be had. */
  open(path: string): Promise<ByteSource>;
}

/** A model, its fine-tuned variants and its heads among `ModelFiles`, in the layout of `ModelFolder`. */
export interface OpenedModel {
  readonly name: string;
  /** The `model_cfg` of `open_clip_config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly normalisation: Normalisation;
  /** Tasks that have a fine-tuned model or a task vector, in alphabetical order. */
  readonly tasks: readonly string[];
  /** The path of θ0. */
  readonly basePath: string;
  /** The path that a task vector is read from. @throws InputError for a task that is not there. */
  taskPath(task: string): string;
  /** All tensors of the base model's file: both towers, `logit_scale`. */
  baseTensors(): Promise<TensorFile>;
  base(spec: EncoderSpec): Promise<NamedHostTensors>;
  taskVector(task: string, spec: EncoderSpec): Promise<TaskVector>;
  /** The saved zero-shot head of a data set; null when there is none. */
  head(task: string): Promise<ClassificationHead | null>;
}

async function readText(source: ByteSource): Promise<string> {
  return new TextDecoder().decode(await source.read(0, source.size));
}

/** @throws InputError when there is no base model or no config among the files. */
export async function openModelFiles(files: ModelFiles): Promise<OpenedModel> {
  const there = new Set(files.paths);
  const basePath = `${BASE}.safetensors`;
  const missing = [basePath, CONFIG_FILE].find((path) => !there.has(path));
  if (missing !== undefined) {
    throw new InputError({ where: files.name, got: `no ${missing}`, expected: `a folder with ${basePath} and ${CONFIG_FILE}` });
  }
  const tensors = async (path: string): Promise<TensorFile> => openTensors(await files.open(path), path);
  const { model_cfg: config, preprocess_cfg: pixels } = parseModelConfig(await readText(await files.open(CONFIG_FILE)), CONFIG_FILE);

  const pathOf = (task: string): string | undefined =>
    [TASK_VECTOR, FINETUNED].map((file) => `${task}${SUFFIX}/${file}.safetensors`).find((path) => there.has(path));
  const folders = new Set(files.paths.map((path) => path.split("/")[0]!));
  const tasks = [...folders]
    .filter((folder) => folder.endsWith(SUFFIX))
    .map((folder) => folder.slice(0, -SUFFIX.length))
    .filter((task) => pathOf(task) !== undefined)
    .sort();

  const taskPath = (task: string): string => {
    const path = pathOf(task);
    if (path !== undefined) return path;
    const expected = tasks.length === 0 ? "a fine-tuned model; there is none" : `one of ${tasks.join(", ")}`;
    throw new InputError({ where: `task vector "${task}"`, got: `nothing of that name in ${files.name}`, expected });
  };

  return {
    name: files.name,
    config,
    normalisation: pixels ?? CLIP_NORMALISATION,
    tasks,
    basePath,
    taskPath,
    baseTensors: () => tensors(basePath),
    base: async (spec) => loadBase(spec, (await tensors(basePath)).tensors, basePath),
    taskVector: async (task, spec) => {
      const path = taskPath(task);
      const { tensors: own } = await tensors(path);
      if (path.endsWith(`${TASK_VECTOR}.safetensors`)) return loadTaskVector(spec, own, path, task);
      return taskVectorFromCheckpoints(task, spec, (await tensors(basePath)).tensors, own, "F16");
    },
    head: async (task) => {
      const path = `head_${task}${SUFFIX}.safetensors`;
      return there.has(path) ? decodeHead(await tensors(path), task, path) : null;
    },
  };
}
