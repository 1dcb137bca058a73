import type { BlockKind, BlockSpec } from "./encoder-spec.js";
import { InputError } from "./errors.js";

/** Coefficients of one task vector in one place of the network. */
export interface CoefficientGroup {
  /** Index of the task vector. */
  readonly vector: number;
  /** Of the residual block; null outside of them. */
  readonly layer: number | null;
  readonly kind: BlockKind;
  /** Coefficients in the group: of a weight and its bias, say, and of every part of both. */
  readonly count: number;
  readonly mean: number;
  /** Mean of absolute values. */
  readonly meanAbsolute: number;
}

/**
 * Coefficients `[n, m, K]` by layer and by kind of block (paper, section 4.1), in the order of the blocks. K = 1:
 * blockwise; more: every block in K parts. Leftover blocks, which take no part in the network, are left out.
 */
export function groupCoefficients(blocks: readonly BlockSpec[], coef: Float32Array, parts = 1): CoefficientGroup[] {
  const row = blocks.length * parts;
  if (row === 0 || coef.length % row !== 0) {
    const each = parts === 1 ? "" : ` in ${parts} parts`;
    throw new InputError({ where: "coefficients", got: `${coef.length} values`, expected: `a multiple of ${blocks.length} blocks${each}` });
  }
  const groups: CoefficientGroup[] = [];
  for (let vector = 0; vector < coef.length / row; vector++) {
    const members = new Map<string, { block: BlockSpec; values: number[] }>();
    blocks.forEach((block, j) => {
      if (block.kind === "leftover") return;
      const key = `${block.layer ?? ""} ${block.kind}`;
      const own = members.get(key) ?? { block, values: [] };
      const first = vector * row + j * parts;
      for (let k = 0; k < parts; k++) own.values.push(coef[first + k]!);
      members.set(key, own);
    });
    for (const { block: { layer, kind }, values } of members.values()) {
      const count = values.length;
      const sum = (of: (value: number) => number): number => values.reduce((total, value) => total + of(value), 0);
      groups.push({ vector, layer, kind, count, mean: sum((value) => value) / count, meanAbsolute: sum(Math.abs) / count });
    }
  }
  return groups;
}

/**
 * The disentanglement error ξ(τ1, τ2): the share of images of the first task whose predicted label changes when Λ2 τ2 is
 * added to Λ1 τ1 (Ortiz-Jimenez et al. 2023; paper, section 4.2).
 * @param alone predicted labels with Λ1 τ1. @param together with Λ1 τ1 + Λ2 τ2, of the same images.
 */
export function disentanglementError(alone: Int32Array, together: Int32Array): number {
  if (alone.length === 0 || alone.length !== together.length) {
    throw new InputError({ where: "disentanglement error", got: `${alone.length} and ${together.length} labels`, expected: "as many of both, and at least one" });
  }
  return alone.reduce((changed, label, i) => changed + (label === together[i] ? 0 : 1), 0) / alone.length;
}
