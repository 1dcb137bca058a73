import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseClipConfig, visionSpec, type ClipConfig } from "@atlas-tv/clip";
import { hashJson, openModelFolder, sha256File, type ModelFolder } from "@atlas-tv/checkpoints";
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

/** The zoo's model, which a clone has without any download. */
export const DEFAULT_MODEL = "mini-clip";

const ZOO_PACKAGE = "@atlas-tv/zoo";

export interface ModelChoice {
  /** A folder, or the name of one among the checkpoints. */
  readonly model: string;
  /** The folder of models; default the zoo's. */
  readonly checkpoints?: string;
}

/** A pre-trained encoder with whatever lies beside it. */
export interface LoadedModel {
  readonly folder: ModelFolder;
  readonly config: ClipConfig;
  readonly spec: ImageEncoderSpec;
  readonly base: NamedHostTensors;
  readonly normalisation: Normalisation;
  readonly baseHash: string;
}

async function zooCheckpoints(): Promise<string | null> {
  try {
    const zoo = (await import(ZOO_PACKAGE)) as { zooCheckpoints(): string };
    return zoo.zooCheckpoints();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND") return null;
    throw error;
  }
}

/** Where a model lies: a folder given by its path, or by its name among the checkpoints. */
export async function findModel({ model, checkpoints }: ModelChoice): Promise<ModelFolder> {
  if (existsSync(model)) return openModelFolder(model);
  const among = checkpoints ?? (await zooCheckpoints());
  if (among === null) {
    throw new InputError({
      where: `--model ${model}`,
      got: "no folder of that name, and no --checkpoints",
      expected: "the path of a model folder, or --checkpoints DIR that holds it",
      next: `npm install ${ZOO_PACKAGE} for a small model to start with`,
    });
  }
  const path = join(among, model);
  if (existsSync(path)) return openModelFolder(path);
  const there = statSync(among, { throwIfNoEntry: false })?.isDirectory() === true ? modelsIn(among) : null;
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
    .filter((name) => existsSync(join(checkpoints, name, "open_clip_config.json")))
    .sort();
}

/** Loads θ0 and checks it against its config; `includeLeftovers` as in `visionSpec`. */
export async function loadModel(choice: ModelChoice, options: { includeLeftovers?: boolean } = {}): Promise<LoadedModel> {
  const folder = await findModel(choice);
  const config = parseClipConfig(folder.config, join(folder.path, "open_clip_config.json"));
  const spec = visionSpec(config, options);
  const [base, baseHash] = await Promise.all([folder.base(spec), sha256File(folder.basePath)]);
  return { folder, config, spec, base, normalisation: folder.normalisation, baseHash };
}

/** A task vector and the hash of the file it came from. */
export interface LoadedVector {
  readonly vector: TaskVector;
  readonly hash: string;
}

/** The task vectors that were asked for; by default all of the folder but the target's own. */
export async function loadVectors(
  model: LoadedModel,
  names: readonly string[] | undefined,
  target: string,
): Promise<LoadedVector[]> {
  const chosen = names ?? model.folder.tasks.filter((task) => task !== target);
  if (chosen.length === 0) {
    throw new InputError({
      where: "--task-vectors",
      got: `no task vector beside ${target}'s own in ${model.folder.path}`,
      expected: "at least one",
      next: "make some with atlas finetune, or name them with --task-vectors",
    });
  }
  return Promise.all(
    chosen.map(async (name) => ({
      vector: await model.folder.taskVector(name, model.spec),
      hash: await sha256File(model.folder.taskPath(name)),
    })),
  );
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
  if (saved.classNames.length !== dataset.classNames.length || saved.width !== model.spec.outputWidth) {
    throw new InputError({
      where,
      got: `${saved.classNames.length} classes of width ${saved.width}`,
      expected: `${dataset.classNames.length} classes of width ${model.spec.outputWidth}`,
    });
  }
  if (isReordered(saved.classNames, dataset.classNames)) {
    throw new InputError({
      where,
      got: `classes in the order ${saved.classNames.join(", ")}`,
      expected: `the order of the data set: ${dataset.classNames.join(", ")}`,
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
