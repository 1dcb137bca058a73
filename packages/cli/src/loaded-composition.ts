import { readComposition, requireSameSources, type CompositionArtefact } from "@atlas-tv/checkpoints";
import type { Composition, NamedArrays } from "@atlas-tv/core";
import { compositionById } from "./compositions.js";
import { loadVectors, type LoadedModel, type LoadedVector } from "./loaded-model.js";

/** Coefficients and what they apply to. */
export interface LoadedComposition {
  readonly composition: Composition;
  readonly coefficients: NamedArrays;
  readonly vectors: readonly LoadedVector[];
  readonly mode: CompositionArtefact["mode"];
}

/** What a composition file says, with its task vectors loaded and checked by hash. */
export async function loadComposition(model: LoadedModel, path: string): Promise<LoadedComposition> {
  const artefact = await readComposition(path);
  const composition = compositionById(artefact.composition, path);
  const sources = {
    base: { name: model.folder.name, sha256: model.baseHash },
    blocks: model.spec.blocks.map(({ name }) => name),
  };
  // A composition of another model is told by its base, before its task vectors are looked for.
  requireSameSources(artefact, { ...sources, taskVectors: artefact.taskVectors }, path);
  const vectors = await loadVectors(
    model,
    artefact.taskVectors.map(({ name }) => name),
    "",
  );
  requireSameSources(
    artefact,
    { ...sources, taskVectors: vectors.map(({ vector, hash }) => ({ name: vector.name, sha256: hash })) },
    path,
  );
  return { composition, coefficients: artefact.coefficients, vectors, mode: artefact.mode };
}
