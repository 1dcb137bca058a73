import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import {
  InputError, CLIP_NORMALISATION,
  type ClassificationHead, type EncoderSpec, type NamedHostTensors, type Normalisation, type TaskVector,
} from "@atlas-tv/core";
import { z } from "zod";
import { readCheckpoint } from "./checkpoint-file.js";
import { describeFolder, findModelConfig, findWeights, isFolder } from "./checkpoint-folder.js";
import { FORMATS } from "./file-kind.js";
import { parseJsonBytes } from "./model-config.js";
import { BASE, decodeHead, fileOf, holdsVector, SUFFIX, taskFile, unknownTask, type FineTuning } from "./model-layout.js";
import { loadBase, loadTaskVector, taskVectorFromCheckpoints, type WantedBlocks } from "./model-weights.js";

const accuraciesSchema = z.record(z.string(), z.number());

/**
 * A model, its fine-tuned variants and its heads, laid out as the reference has them: `zeroshot.*`,
 * `<Task>Val/finetuned.*` or `<Task>Val/task_vector.*`, `head_<Task>Val.*`, each in any format that `openCheckpoint` reads.
 * The base model may also be the weights of a Hugging Face folder, or a single file.
 */
export interface ModelFolder {
  readonly name: string;
  readonly path: string;
  /** open_clip's or Hugging Face's configuration that lies beside the weights; null when there is none. */
  readonly config: Readonly<Record<string, unknown>> | null;
  /** The file of `config`. */
  readonly configPath: string | null;
  readonly normalisation: Normalisation;
  /** Tasks that have a fine-tuned model or a task vector, in alphabetical order. */
  readonly tasks: readonly string[];
  /** The file of θ0, or the index of its files. */
  readonly basePath: string;
  /** The file a task vector is read from: that of a task, or of any fine-tuned model or task vector given by its path. */
  taskPath(task: string): string;
  base(spec: EncoderSpec): Promise<NamedHostTensors>;
  /** @param only the blocks that are wanted; default all. */
  taskVector(task: string, spec: EncoderSpec, only?: WantedBlocks): Promise<TaskVector>;
  /** The saved zero-shot head of a data set; null when there is none. */
  head(task: string): Promise<ClassificationHead | null>;
  /** `zeroshot_accuracies.json` or `ft_accuracies.json`, by task; empty when the file is absent. */
  accuracies(file: "zeroshot_accuracies" | "ft_accuracies"): Readonly<Record<string, number>>;
}

function readAccuracies(path: string): Record<string, number> {
  const expected = "accuracies by task";
  const parsed = accuraciesSchema.safeParse(parseJsonBytes(readFileSync(path), path, expected));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InputError({ where: `${path}, field "${issue?.path.join(".") ?? ""}"`, got: issue?.message ?? "something else", expected });
}

function tasksOf(path: string, kind: FineTuning): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.endsWith(SUFFIX))
    .map((entry) => entry.name.slice(0, -SUFFIX.length))
    .filter((task) => taskFile(task, kind, (file) => existsSync(join(path, file))) !== undefined)
    .sort();
}

/** Whether a folder holds a base model. */
export function isModelFolder(path: string): boolean {
  return isFolder(path) && (fileOf(join(path, BASE), existsSync) ?? findWeights(path)) !== null;
}

/** The folder of a model and the file of its base. */
function locate(path: string): { folder: string; basePath: string; name: string } {
  const expected = `a checkpoint, or a folder with ${BASE}.safetensors, ${BASE}.pt or the weights of a Hugging Face model`;
  if (!existsSync(path)) throw new InputError({ where: path, got: "nothing there", expected });
  if (!isFolder(path)) return { folder: dirname(path), basePath: path, name: basename(path, extname(path)) };
  const base = fileOf(join(path, BASE), existsSync) ?? findWeights(path);
  if (base === null) throw new InputError({ where: path, got: `no ${BASE}.safetensors, and no other weights: ${describeFolder(path)}`, expected });
  return { folder: path, basePath: base, name: basename(resolve(path)) };
}

/**
 * Finds a model and what lies beside it; its weights are read when they are asked for.
 * @param path of a folder, or of a checkpoint itself: then what lies beside it belongs to it.
 * @param fineTuning which fine-tuned models `tasks` and `taskVector` are about.
 * @throws InputError when there is no base model, or its configuration cannot be read.
 */
export function openModelFolder(path: string, fineTuning: FineTuning = "standard"): ModelFolder {
  const { folder, basePath, name } = locate(path);
  const config = findModelConfig(folder);
  const tasks = tasksOf(folder, fineTuning);
  const within = (file: string): boolean => existsSync(join(folder, file));

  const taskPath = (task: string): string => {
    const file = taskFile(task, fineTuning, within);
    if (file !== undefined) return join(folder, file);
    if (existsSync(task)) return task;
    throw unknownTask(task, tasks, folder);
  };

  return {
    name,
    path: folder,
    config: config?.document ?? null,
    configPath: config?.where ?? null,
    normalisation: config?.normalisation ?? CLIP_NORMALISATION,
    tasks,
    basePath,
    taskPath,
    base: (spec) => readCheckpoint(basePath, ({ tensors }) => loadBase(spec, tensors, basePath)),
    taskVector: (task, spec, only) => {
      const from = taskPath(task);
      return readCheckpoint(from, ({ format, tensors }) =>
        format === FORMATS.taskVector || holdsVector(from)
          ? loadTaskVector(spec, tensors, from, task, only)
          : readCheckpoint(basePath, (base) => taskVectorFromCheckpoints(task, spec, base.tensors, tensors, "F16", only)));
    },
    head: async (task) => {
      const file = fileOf(join(folder, `head_${task}${SUFFIX}`), existsSync);
      return file === undefined ? null : readCheckpoint(file, (head) => decodeHead(head, task, file));
    },
    accuracies: (file) => {
      const at = join(folder, `${file}.json`);
      return existsSync(at) ? readAccuracies(at) : {};
    },
  };
}
