import type { CompositionArtefact } from "@atlas-tv/checkpoints";
import type { Composition, NamedArrays } from "@atlas-tv/core";
import type { LoadedModel, LoadedVector } from "./loaded-model.js";
import { asJson } from "./recorded-run.js";

/** What `composition.safetensors` holds of learned coefficients; an objective's own parameters are left out. */
export function compositionArtefact(
  { folder, spec, config, baseHash }: LoadedModel,
  vectors: readonly LoadedVector[],
  composition: Composition,
  values: NamedArrays,
  { mode, seed }: Pick<CompositionArtefact, "mode" | "seed">,
): CompositionArtefact {
  const shapes = composition.shapes(spec.blocks, vectors.length);
  return {
    coefficients: Object.fromEntries(Object.keys(shapes).map((name) => [name, values[name]!])),
    shapes,
    composition: composition.id,
    mode,
    blocks: spec.blocks.map(({ name }) => name),
    taskVectors: vectors.map(({ vector, hash }) => ({ name: vector.name, sha256: hash })),
    base: { name: folder.name, sha256: baseHash },
    model: asJson(config),
    seed,
  };
}

/** The hashes that `run.json` records of a run's weights. */
export function weightHashes({ baseHash }: LoadedModel, vectors: readonly LoadedVector[]) {
  return { base: baseHash, taskVectors: Object.fromEntries(vectors.map(({ vector, hash }) => [vector.name, hash])) };
}
