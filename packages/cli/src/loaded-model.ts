import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseClipConfig, textSpec, visionSpec, WordTokenizer, zeroShotHead, type ClipConfig } from "@atlas-tv/clip";
import { loadBase, openCheckpoint, openModelFolder, sha256File, type ModelFolder } from "@atlas-tv/checkpoints";
import {
  dense, InputError, readFloat32,
  type Backend, type ClassificationHead, type Dataset, type NamedHostTensors, type Normalisation, type TaskVector, type VitSpec,
} from "@atlas-tv/core";

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
  readonly spec: VitSpec;
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
  if (statSync(model, { throwIfNoEntry: false })?.isDirectory() === true) return openModelFolder(model);
  const among = checkpoints ?? (await zooCheckpoints());
  if (among === null) {
    throw new InputError({
      where: `--model ${model}`, got: "no folder of that name, and no --checkpoints", expected: "the path of a model folder, or --checkpoints DIR that holds it",
      next: `npm install ${ZOO_PACKAGE} for a small model to start with`,
    });
  }
  return openModelFolder(join(among, model));
}

/** Loads θ0 and checks it against its config. */
export async function loadModel(choice: ModelChoice): Promise<LoadedModel> {
  const folder = await findModel(choice);
  const config = parseClipConfig(folder.config, join(folder.path, "open_clip_config.json"));
  const spec = visionSpec(config);
  const [base, baseHash] = await Promise.all([folder.base(spec), sha256File(folder.basePath)]);
  return { folder, config, spec, base, normalisation: folder.normalisation, baseHash };
}

/** A task vector and the hash of the file it came from. */
export interface LoadedVector {
  readonly vector: TaskVector;
  readonly hash: string;
}

/** The task vectors that were asked for; by default all of the folder but the target's own. */
export async function loadVectors(model: LoadedModel, names: readonly string[] | undefined, target: string): Promise<LoadedVector[]> {
  const chosen = names ?? model.folder.tasks.filter((task) => task !== target);
  if (chosen.length === 0) {
    throw new InputError({ where: "--task-vectors", got: `no task vector beside ${target}'s own in ${model.folder.path}`, expected: "at least one" });
  }
  return Promise.all(chosen.map(async (name) => ({
    vector: await model.folder.taskVector(name, model.spec),
    hash: await sha256File(model.folder.taskPath(name)),
  })));
}

/** Builds the zero-shot head of a data set with the model's own text encoder. */
async function buildHead(model: LoadedModel, backend: Backend, dataset: Dataset): Promise<ClassificationHead> {
  const vocabulary = join(model.folder.path, "vocabulary.json");
  if (!existsSync(vocabulary)) {
    throw new InputError({
      where: `head of ${dataset.name}`, got: `neither head_${dataset.name}Val.safetensors nor vocabulary.json in ${model.folder.path}`,
      expected: "a saved head, or what is needed to embed the class names",
    });
  }
  const tokenizer = WordTokenizer.fromJSON(JSON.parse(readFileSync(vocabulary, "utf8")), vocabulary);
  const spec = textSpec(model.config);
  const file = await openCheckpoint(model.folder.basePath);
  try {
    const base = await loadBase(spec, file.tensors, model.folder.basePath);
    const scale = file.tensors.get("logit_scale");
    if (scale === undefined) throw new InputError({ where: model.folder.basePath, got: "no logit_scale", expected: "a full CLIP: image and text encoder and logit_scale" });
    const [logitScale = 0] = await readFloat32(scale, "logit_scale");
    const encoder = await backend.compile(spec, base, [], dense());
    try {
      return await zeroShotHead({ encoder, tokenize: (texts) => tokenizer.encode(texts), classNames: dataset.classNames, templates: dataset.templates, logitScale, name: dataset.name });
    } finally {
      encoder.dispose();
    }
  } finally {
    await file.close();
  }
}

/** The saved head of a data set, or one built from its class names. */
export async function loadHead(model: LoadedModel, backend: Backend, dataset: Dataset): Promise<ClassificationHead> {
  const saved = await model.folder.head(dataset.name);
  if (saved === null) return buildHead(model, backend, dataset);
  if (saved.classNames.length !== dataset.classNames.length || saved.width !== model.spec.outputWidth) {
    throw new InputError({
      where: `head of ${dataset.name} in ${model.folder.path}`, got: `${saved.classNames.length} classes of width ${saved.width}`,
      expected: `${dataset.classNames.length} classes of width ${model.spec.outputWidth}`,
    });
  }
  return saved;
}
