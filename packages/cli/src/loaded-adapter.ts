import { readAdapter, sha256File } from "@atlas-tv/checkpoints";
import { InputError, type ClassificationHead, type FittedAdapter } from "@atlas-tv/core";
import type { DependencyContainer } from "tsyringe";
import { headHash, type LoadedModel } from "./loaded-model.js";
import { findPlugin } from "./plugin-finder.js";
import { refuseRunFolder } from "./run-file.js";

const NEXT = "give the files that the adapter was fitted with: those of its run folder";

/**
 * The classifier that an adapter file says, checked against the features and the head that it is to be used with.
 * @param composition path of the composition whose features it is to classify; undefined: the pre-trained model's.
 * @throws InputError when it was fitted to other ones, or its plug-in is not installed.
 */
export async function loadAdapter(
  container: DependencyContainer,
  path: string,
  model: LoadedModel,
  head: ClassificationHead,
  composition: string | undefined,
): Promise<FittedAdapter> {
  refuseRunFolder("--adapter", path, "adapter.safetensors");
  const artefact = await readAdapter(path);
  const differ = (what: string, got: string, expected: string): InputError =>
    new InputError({ where: `${path}: ${what}`, got, expected, next: NEXT });
  if (artefact.base.sha256 !== model.baseHash) {
    throw differ("base model", `one with SHA-256 ${model.baseHash}`, `"${artefact.base.name}" with SHA-256 ${artefact.base.sha256}`);
  }
  const given = composition === undefined ? null : await sha256File(composition);
  if (given !== artefact.composition) {
    const named = (hash: string | null): string => (hash === null ? "the pre-trained model's" : `those of a composition with SHA-256 ${hash}`);
    throw differ("features", named(given), named(artefact.composition));
  }
  const hash = await headHash(head);
  if (hash !== artefact.head) throw differ("zero-shot head", `one with SHA-256 ${hash}`, `one with SHA-256 ${artefact.head}`);
  const factory = await findPlugin(container, "adapter", artefact.adapter, path);
  return factory.restore(artefact.state, head);
}
