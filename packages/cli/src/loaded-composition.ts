import { openModelFolder, readComposition, requireSameSources, sha256Checkpoint, type CompositionArtefact } from "@atlas-tv/checkpoints";
import type { Composition, NamedArrays } from "@atlas-tv/core";
import type { DependencyContainer } from "tsyringe";
import { chooseComposition } from "./compositions.js";
import { loadModel, loadVectors, type LoadedModel, type LoadedVector, type ModelChoice } from "./loaded-model.js";
import { refuseRunFolder } from "./run-file.js";

/** Coefficients and what they apply to. */
export interface LoadedComposition {
  readonly composition: Composition;
  readonly coefficients: NamedArrays;
  readonly vectors: readonly LoadedVector[];
  readonly mode: CompositionArtefact["mode"];
}

/** The model with the fine-tuned variants that a composition was learned from: hashes tell the linear ones. */
async function withVariants(model: LoadedModel, { mode, taskVectors }: CompositionArtefact): Promise<LoadedModel> {
  const [first] = taskVectors;
  if (mode === "standard" || first === undefined) return model;
  const folder = openModelFolder(model.folder.path, "linearised");
  const isLinear = folder.tasks.includes(first.name) && (await sha256Checkpoint(folder.taskPath(first.name))) === first.sha256;
  return isLinear ? { ...model, folder } : model;
}

/** The model that a composition applies to, with the text tower's leftover blocks where the composition has columns for them. */
export async function loadModelFor(choice: ModelChoice, composition: string | undefined): Promise<LoadedModel> {
  const model = await loadModel(choice);
  if (composition === undefined) return model;
  refuseRunFolder("--composition", composition, "composition.safetensors");
  const { base, blocks } = await readComposition(composition);
  const hasMore = base.sha256 === model.baseHash && blocks.length > model.spec.blocks.length;
  return hasMore ? loadModel(choice, { includeLeftovers: true }) : model;
}

/** The blocks of each vector that have a coefficient other than 0; undefined where a composition does not tell. */
function neededBlocks({ spec: { blocks } }: LoadedModel, composition: Composition, { taskVectors, coefficients }: CompositionArtefact): Set<string>[] | undefined {
  if (composition.kind !== "scalar") return undefined;
  const count = blocks.length;
  const weights = blocks.map((block, index) => composition.weights({ block, index, count }, taskVectors.length, coefficients));
  return taskVectors.map((_, i) => new Set(blocks.flatMap(({ name }, j) => (weights[j]![i] === 0 ? [] : [name]))));
}

/**
 * What a composition file says, with its task vectors loaded and checked by hash.
 * @param parts "needed": of the vectors only blocks that have a coefficient other than 0, so that what was learned on a budget of b
 *   task vectors is applied within it.
 * @throws InputError also when it needs a plug-in that is not installed.
 */
export async function loadComposition(
  container: DependencyContainer,
  model: LoadedModel,
  path: string,
  parts: "needed" | "whole" = "needed",
): Promise<LoadedComposition> {
  refuseRunFolder("--composition", path, "composition.safetensors");
  const artefact = await readComposition(path);
  const choice = await chooseComposition(container, artefact.composition, artefact.compositionOptions ?? {}, path);
  const composition = choice.create(artefact.maskSeed ?? artefact.seed);
  const sources = {
    base: { name: model.folder.name, sha256: model.baseHash },
    blocks: model.spec.blocks.map(({ name }) => name),
  };
  // A composition of another model is told by its base, before its task vectors are looked for.
  requireSameSources(artefact, { ...sources, taskVectors: artefact.taskVectors }, path);
  const vectors = await loadVectors(
    await withVariants(model, artefact),
    artefact.taskVectors.map(({ name }) => name),
    "",
    parts === "whole" ? undefined : neededBlocks(model, composition, artefact),
  );
  requireSameSources(
    artefact,
    { ...sources, taskVectors: vectors.map(({ vector, hash }) => ({ name: vector.name, sha256: hash })) },
    path,
  );
  return { composition, coefficients: artefact.coefficients, vectors, mode: artefact.mode };
}
