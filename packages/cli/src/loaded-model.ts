import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { visionSpec, type ClipConfig } from "@atlas-tv/clip";
import { hashJson, isModelFolder, openModelFolder, sha256Checkpoint, type FineTuning, type ModelFolder } from "@atlas-tv/checkpoints";
import {
  InputError,
  type ClassificationHead,
  type Dataset,
  type ImageEncoderSpec,
  type NamedHostTensors,
  type Normalisation,
  type TaskVector,
} from "@atlas-tv/core";
import { buildHead, type HeadContext } from "./head-builder.js";
import { findArchitecture } from "./model-architecture.js";
import { pathKind } from "./path-kind.js";
import { zoo, ZOO_PACKAGE } from "./zoo.js";

/** The zoo's model, which a clone has without any download. */
export const DEFAULT_MODEL = "mini-clip";

export interface ModelChoice {
  /** A folder or a checkpoint, or the name of a folder among the checkpoints. */
  readonly model: string;
  /** The folder of models; default the zoo's. */
  readonly checkpoints?: string;
  /** The model's configuration, where neither folder nor checkpoint tells it. */
  readonly config?: string;
}

/** A pre-trained encoder with whatever lies beside it. */
export interface LoadedModel {
  readonly folder: ModelFolder;
  /** Which fine-tuned models the folder's tasks are. */
  readonly fineTuning: FineTuning;
  readonly config: ClipConfig;
  readonly spec: ImageEncoderSpec;
  readonly base: NamedHostTensors;
  readonly normalisation: Normalisation;
  readonly baseHash: string;
}

/** Where a model lies: a folder or a checkpoint given by its path, or a folder by its name among the checkpoints. */
export async function findModel({ model, checkpoints }: ModelChoice, fineTuning?: FineTuning): Promise<ModelFolder> {
  if (existsSync(model)) return openModelFolder(model, fineTuning);
  const among = checkpoints ?? (await zoo())?.zooCheckpoints() ?? null;
  if (among === null) {
    throw new InputError({
      where: `--model ${model}`,
      got: "no folder of that name, and no --checkpoints",
      expected: "the path of a model folder or a checkpoint, or --checkpoints DIR that holds it",
      next: `npm install ${ZOO_PACKAGE} for a small model to start with`,
    });
  }
  const path = join(among, model);
  if (existsSync(path)) return openModelFolder(path, fineTuning);
  const there = pathKind(among) === "folder" ? modelsIn(among) : null;
  throw new InputError({
    where: `--model ${model}`,
    got: `no folder of that name, here or in ${among}`,
    expected:
      there === null
        ? "--checkpoints with an existing folder"
        : there.length === 0
          ? `a model; ${among} holds none`
          : `the path of a model folder, or one of ${there.join(", ")}`,
    next: "atlas doctor shows where the model that comes along lies",
  });
}

function modelsIn(checkpoints: string): string[] {
  return readdirSync(checkpoints)
    .filter((name) => isModelFolder(join(checkpoints, name)))
    .sort();
}

export interface ModelOptions {
  /** As in `visionSpec`. */
  readonly includeLeftovers?: boolean;
  /** Which fine-tuned models belong to it. Default standard. */
  readonly fineTuning?: FineTuning;
}

/** Loads θ0 and checks it against its architecture. */
export async function loadModel(choice: ModelChoice, { fineTuning = "standard", ...options }: ModelOptions = {}): Promise<LoadedModel> {
  const folder = await findModel(choice, fineTuning);
  const { config, normalisation } = await findArchitecture(folder, choice.config);
  const spec = visionSpec(config, options);
  const [base, baseHash] = await Promise.all([folder.base(spec), sha256Checkpoint(folder.basePath)]);
  return { folder, fineTuning, config, spec, base, normalisation, baseHash };
}

/** The name of a task vector and the hash of the file it comes from. */
export interface ListedVector {
  readonly name: string;
  readonly hash: string;
}

export interface LoadedVector extends ListedVector {
  readonly vector: TaskVector;
}

function noVectors({ folder, fineTuning }: LoadedModel, names: readonly string[] | undefined, target: string): InputError {
  const where = "--task-vectors";
  if (names !== undefined) return new InputError({ where, got: "no name", expected: "names of task vectors, separated by commas" });
  if (fineTuning === "standard") {
    const next = "make some with atlas finetune, or name them with --task-vectors";
    return new InputError({ where, got: `no task vector beside ${target}'s own in ${folder.path}`, expected: "at least one", next });
  }
  return new InputError({
    where: "--finetuning-mode linear",
    got: `no linear task vector beside ${target}'s own in ${folder.path}`,
    expected: "at least one linear_finetuned or linear_task_vector file of a task",
    next: "make some with atlas finetune --finetuning-mode linear, or take the standard ones with --finetuning-mode posthoc",
  });
}

/** @throws InputError where a data set has no task vector among the model's. */
export function requireOwnVectors({ folder, fineTuning }: LoadedModel, datasets: readonly string[]): void {
  const lacking = datasets.find((name) => !folder.tasks.includes(name));
  if (lacking === undefined) return;
  const [kind, flags] = fineTuning === "standard" ? ["", ""] : ["linear ", " --finetuning-mode linear"];
  throw new InputError({
    where: `data set "${lacking}"`,
    got: `no ${kind}task vector of that name in ${folder.path}`,
    expected: folder.tasks.length === 0 ? "one that is fine-tuned on it; there is none of any" : `a data set with its own: ${folder.tasks.join(", ")}`,
    next: `make it with atlas finetune${flags} on that data set, --save at the folder of models`,
  });
}

/** The task vectors that were asked for, not yet loaded; by default all of the folder but the target's own. */
export async function listVectors(
  model: LoadedModel,
  names: readonly string[] | undefined,
  target: string,
): Promise<ListedVector[]> {
  const chosen = names ?? model.folder.tasks.filter((task) => task !== target);
  if (chosen.length === 0) throw noVectors(model, names, target);
  return Promise.all(
    chosen.map(async (name) => ({ name, hash: await sha256Checkpoint(model.folder.taskPath(name)) })),
  );
}

/** `listVectors`, loaded. @param only of each vector the blocks that are wanted; default all. */
export async function loadVectors(
  model: LoadedModel,
  names: readonly string[] | undefined,
  target: string,
  only?: readonly ReadonlySet<string>[],
): Promise<LoadedVector[]> {
  const listed = await listVectors(model, names, target);
  return Promise.all(listed.map(async (own, i) => ({ ...own, vector: await model.folder.taskVector(own.name, model.spec, only?.[i]) })));
}

/** Same names in another order would give every image a wrong label. */
function isReordered(names: readonly string[], other: readonly string[]): boolean {
  const text = (all: readonly string[]): string => all.map((name) => name.toLowerCase()).join("\n");
  return text(names) !== text(other) && text([...names].sort()) === text([...other].sort());
}

/** The saved head of a data set, or one built from its class names. */
export async function loadHead(model: LoadedModel, dataset: Dataset, context: HeadContext): Promise<ClassificationHead> {
  const saved = await model.folder.head(dataset.name);
  if (saved === null) return buildHead(model, dataset, context);
  const where = `head of ${dataset.name} in ${model.folder.path}`;
  const next = "build it anew from the data set's class names with atlas head --overwrite, or take it out of that folder";
  if (saved.classNames.length !== dataset.classNames.length || saved.width !== model.spec.outputWidth) {
    throw new InputError({
      where,
      got: `${saved.classNames.length} classes of width ${saved.width}`,
      expected: `${dataset.classNames.length} classes, as the data set has, of width ${model.spec.outputWidth}, as the model has`,
      next,
    });
  }
  if (isReordered(saved.classNames, dataset.classNames)) {
    throw new InputError({
      where,
      got: `classes in the order ${saved.classNames.join(", ")}`,
      expected: `the order of the data set: ${dataset.classNames.join(", ")}`,
      next,
    });
  }
  return saved;
}

/** Hash of what a head computes: its classes and weights. */
export async function headHash({ classNames, weight }: ClassificationHead): Promise<string> {
  return hashJson({
    classNames: [...classNames],
    weight: Buffer.from(weight.buffer, weight.byteOffset, weight.byteLength).toString("base64"),
  });
}
