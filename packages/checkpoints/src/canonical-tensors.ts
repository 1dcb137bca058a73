import { InputError, type StateDict, type StoredTensor } from "@atlas-tv/core";
import { isHuggingFace, toOpenClip } from "./huggingface-names.js";

/** Dicts in which training programs keep the weights, beside the state of optimisers. */
const WEIGHTS_OF_TRAINING = /^(state_dict|model_state_dict)\./;

/** Modules that programs wrap around a CLIP: data-parallel training, the reference's encoder and classifier. */
const WRAPPERS = /^((module|model|image_encoder|clip|clip_model)\.)+/;

/** Newer models of open_clip keep the text tower in a module of its own. */
const TEXT_MODULE = /^text\.(?=(positional_embedding|text_projection|token_embedding|ln_final|transformer)(\.|$))/;

/** Of the reference's classifier, beside its encoder. */
const OTHER_PARTS = /^classification_head\./;

function withoutWrappers(name: string): string {
  const own = name.replace(WRAPPERS, "");
  return own.replace(TEXT_MODULE, "");
}

/**
 * The tensors of a CLIP under open_clip's names, which blocks carry: without the prefixes of wrapping modules, and
 * translated from Hugging Face's naming. Names that belong to no CLIP stay as they are.
 * @param where name of the file, for messages.
 * @throws InputError when two tensors would have one name.
 */
export function canonicalTensors(dict: StateDict, where: string): StateDict {
  const ofTraining = [...dict.keys()].filter((name) => WEIGHTS_OF_TRAINING.test(name));
  const names = ofTraining.length > 0 ? ofTraining : [...dict.keys()];
  const plain = new Map<string, StoredTensor>();
  const before = new Map<string, string>();
  for (const name of names) {
    const own = withoutWrappers(name.replace(WEIGHTS_OF_TRAINING, ""));
    if (OTHER_PARTS.test(own)) continue;
    if (plain.has(own)) {
      throw new InputError({ where, got: `both "${before.get(own)}" and "${name}"`, expected: "names that all have the same prefix, or none" });
    }
    plain.set(own, dict.get(name)!);
    before.set(own, name);
  }
  return isHuggingFace(plain.keys()) ? toOpenClip(plain) : plain;
}
