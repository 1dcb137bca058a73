import type { NamedArrays } from "./composition.js";

/** ‖g‖₂ over all tensors, accumulated in float64. */
export function gradientNorm(gradients: NamedArrays): number {
  let sum = 0;
  for (const values of Object.values(gradients)) for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

/**
 * Scales the gradients, in place, so that their joint norm is at most `maxNorm`.
 * @returns the norm before clipping.
 */
export function clipGradients(gradients: NamedArrays, maxNorm: number): number {
  const norm = gradientNorm(gradients);
  // 1e-6 as in torch.nn.utils.clip_grad_norm_, whose numbers the fixtures hold.
  const factor = maxNorm / (norm + 1e-6);
  if (factor < 1) for (const values of Object.values(gradients)) values.forEach((value, i) => { values[i] = value * factor; });
  return norm;
}
