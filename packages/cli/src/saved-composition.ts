import type { CompositionArtefact } from "@atlas-tv/checkpoints";
import type { Composition, NamedArrays } from "@atlas-tv/core";
import type { ListedVector, LoadedModel } from "./loaded-model.js";
import type { CompositionChoice } from "./compositions.js";
import { asJson, type Json } from "./recorded-run.js";

/**
 * What `composition.safetensors` holds of learned coefficients; an objective's own parameters are left out.
 * @param about with `maskSeed` and `compositionOptions` where the composition is a plug-in's.
 */
export function compositionArtefact(
  { folder, spec, config, baseHash }: LoadedModel,
  vectors: readonly ListedVector[],
  composition: Composition,
  values: NamedArrays,
  about: Pick<CompositionArtefact, "mode" | "seed" | "maskSeed" | "compositionOptions">,
): CompositionArtefact {
  const shapes = composition.shapes(spec.blocks, vectors.length);
  return {
    coefficients: Object.fromEntries(Object.keys(shapes).map((name) => [name, values[name]!])),
    shapes,
    composition: composition.id,
    blocks: spec.blocks.map(({ name }) => name),
    taskVectors: vectors.map(({ name, hash }) => ({ name, sha256: hash })),
    base: { name: folder.name, sha256: baseHash },
    model: asJson(config),
    ...about,
  };
}

/** The hashes that `run.json` records of a run's weights. */
export function weightHashes({ baseHash }: LoadedModel, vectors: readonly ListedVector[]) {
  return { base: baseHash, taskVectors: Object.fromEntries(vectors.map(({ name, hash }) => [name, hash])) };
}

/** What a composition file must say beside coefficients so that a plug-in's composition can be made again. */
export function savedChoice({ options }: CompositionChoice, seed: number): Pick<CompositionArtefact, "maskSeed" | "compositionOptions"> {
  return options === null ? {} : { maskSeed: seed, compositionOptions: asJson(options) as Record<string, Json> };
}
