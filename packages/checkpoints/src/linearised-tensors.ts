/**
 * Checkpoints of linearised models (Ortiz-Jimenez et al. 2023): the reference stores the parameters that were trained and
 * those it started from as lists, `params.0`, `params.1` … and `params0.0` …, without names.
 */
import { sameShape, type BlockSpec, type StateDict, type StoredTensor } from "@atlas-tv/core";

/** Which of the two lists: the trained parameters, or those at which the model was linearised. */
export type LinearisedPart = "params" | "params0";

/** The parameters in their order; null when the tensors are not those of a linearised model. */
export function linearisedParameters(dict: StateDict, part: LinearisedPart): readonly StoredTensor[] | null {
  const list: StoredTensor[] = [];
  for (;;) {
    const tensor = dict.get(`${part}.${list.length}`);
    if (tensor === undefined) return list.length === 0 ? null : list;
    list.push(tensor);
  }
}

/**
 * Names parameters by the model's order. The list may hold those of the text tower around the image encoder's, which
 * then stand in a row somewhere in it.
 * @returns null when no row of the list has the shapes of `blocks`.
 */
export function namedParameters(list: readonly StoredTensor[], blocks: readonly BlockSpec[]): StateDict | null {
  for (let start = 0; start + blocks.length <= list.length; start++) {
    if (blocks.every(({ shape }, index) => sameShape(list[start + index]!.shape, shape))) {
      return new Map(blocks.map(({ name }, index) => [name, list[start + index]!]));
    }
  }
  return null;
}
