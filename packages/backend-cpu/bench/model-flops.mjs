/** Floating-point operations of the matrix products that a vision transformer needs, by hand from its sizes. */

/**
 * Forward alone, and with the gradients of inputs and weights. Of the last block only keys and values are computed for
 * every token, all else for the class token; patches need no gradient.
 */
export function productFlops({ imageSize, patchSize, width, layers, mlpWidth, outputWidth }, batch) {
  const patches = (imageSize / patchSize) ** 2;
  const tokens = patches + 1;
  const rows = batch * tokens;
  const embedding = 2 * batch * patches * width * 3 * patchSize ** 2;
  const full = 2 * rows * width * (4 * width + 2 * mlpWidth) + 4 * rows * tokens * width;
  const last = 2 * rows * width * 2 * width + 2 * batch * width * (2 * width + 2 * mlpWidth) + 4 * batch * tokens * width;
  const pooling = 2 * batch * width * outputWidth;
  const stages = (layers - 1) * full + last + pooling;
  return { forward: embedding + stages, step: 2 * embedding + 3 * stages };
}
