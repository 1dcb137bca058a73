import { InputError } from "./errors.js";

/** The Lp term on coefficients (paper, section 4.1). */
export interface LpRegulariser {
  /** p */
  readonly order: 1 | 2;
  /** The paper uses 0.5. */
  readonly strength?: number;
}

/**
 * strength · mean_j ‖λ[:, j]‖p over the columns of coefficients `[n]` or `[n, m, …]`: every trailing axis is a
 * column (paper, section 4.1). Adds the gradient to `gradient`; the subgradient at 0 is 0 for both orders.
 * @returns the penalty.
 */
export function lpPenalty(coefficients: Float32Array, n: number, regulariser: LpRegulariser, gradient: Float32Array): number {
  const { order, strength = 0.5 } = regulariser;
  if (n === 0 || coefficients.length % n !== 0) {
    throw new InputError({ where: "lpPenalty", got: `${coefficients.length} coefficients`, expected: `a multiple of ${n} task vectors` });
  }
  const columns = coefficients.length / n;
  const weight = strength / columns;
  let total = 0;
  for (let j = 0; j < columns; j++) {
    let size = 0;
    for (let i = 0; i < n; i++) {
      const value = coefficients[i * columns + j]!;
      size += order === 1 ? Math.abs(value) : value * value;
    }
    if (order === 2) size = Math.sqrt(size);
    total += size;
    if (size === 0) continue;
    for (let i = 0; i < n; i++) {
      const value = coefficients[i * columns + j]!;
      gradient[i * columns + j]! += weight * (order === 1 ? Math.sign(value) : value / size);
    }
  }
  return weight * total;
}
