import {
  CLIP_NORMALISATION, InputError,
  type ClassificationHead, type EncoderSpec, type NamedHostTensors, type Normalisation, type TaskVector,
} from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { openTensors } from "./checkpoint-formats.js";
import { parseModelConfig } from "./model-config.js";
import { BASE, decodeHead, fileOf, holdsVector, SUFFIX, taskFile, unknownTask } from "./model-layout.js";
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

/** The configuration of the model. */
const CONFIG_FILE = "open_clip_config.json";

/** @throws InputError when there is no base model or no config among the files. */
export async function openModelFiles(files: ModelFiles): Promise<OpenedModel> {
  const paths = new Set(files.paths);
  const there = (path: string): boolean => paths.has(path);
  const basePath = fileOf(BASE, there);
  const expected = `a folder with ${BASE}.safetensors or ${BASE}.pt, and ${CONFIG_FILE}`;
  if (basePath === undefined) throw new InputError({ where: files.name, got: `no ${BASE}.safetensors`, expected });
  if (!there(CONFIG_FILE)) throw new InputError({ where: files.name, got: `no ${CONFIG_FILE}`, expected });
  const tensors = async (path: string): Promise<TensorFile> => openTensors(await files.open(path), path);
  const configSource = await files.open(CONFIG_FILE);
  const { document: config, normalisation } = parseModelConfig(await configSource.read(0, configSource.size), CONFIG_FILE);

  const folders = new Set(files.paths.map((path) => path.split("/")[0]!));
  const tasks = [...folders]
    .filter((folder) => folder.endsWith(SUFFIX))
    .map((folder) => folder.slice(0, -SUFFIX.length))
    .filter((task) => taskFile(task, "standard", there) !== undefined)
    .sort();

  const taskPath = (task: string): string => {
    const path = taskFile(task, "standard", there);
    if (path === undefined) throw unknownTask(task, tasks, files.name);
    return path;
  };

  return {
    name: files.name,
    config,
    normalisation: normalisation ?? CLIP_NORMALISATION,
    tasks,
    basePath,
    taskPath,
    baseTensors: () => tensors(basePath),
    base: async (spec) => loadBase(spec, (await tensors(basePath)).tensors, basePath),
    taskVector: async (task, spec) => {
      const path = taskPath(task);
      const { tensors: own } = await tensors(path);
      if (holdsVector(path)) return loadTaskVector(spec, own, path, task);
      return taskVectorFromCheckpoints(task, spec, (await tensors(basePath)).tensors, own, "F16");
    },
    head: async (task) => {
      const path = fileOf(`head_${task}${SUFFIX}`, there);
      return path === undefined ? null : decodeHead(await tensors(path), task, path);
    },
  };
}
