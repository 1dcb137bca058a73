import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { VitSpec } from "./encoder-spec.js";
import { matrixProduct } from "./matrix-product.js";
import { layerNorm, residualBlocks, type Parameters } from "./transformer.js";

/** Images `(batch, S, S, 3)` as rows of patches `(batch · grid², patch² · 3)`, row-major over the grid. */
function patches({ imageSize, patchSize }: VitSpec, images: Tensor, batch: number): Tensor2D {
  const grid = imageSize / patchSize;
  const stripes = tf.reshape(images, [batch * grid, patchSize, grid, patchSize * 3]);
  return tf.reshape(tf.transpose(stripes, [0, 2, 1, 3]), [batch * grid * grid, patchSize * patchSize * 3]) as Tensor2D;
}

function tokenCount({ imageSize, patchSize }: VitSpec): number {
  return (imageSize / patchSize) ** 2 + 1;
}

/** Tokens `(batch · tokens, width)` of images `(batch, S, S, 3)`: the class token, then the embedded patches, with their positions. */
export function embedImages(spec: VitSpec, parameters: Parameters, images: Tensor): Tensor2D {
  const { prefix, width } = spec;
  const batch = images.shape[0]!;
  const tokens = tokenCount(spec);

  // The convolution's kernel (width, 3, patch, patch) in the order of the patches' pixels.
  const kernel = tf.reshape(tf.transpose(parameters(`${prefix}conv1.weight`), [2, 3, 1, 0]), [-1, width]);
  const embedded = tf.reshape(matrixProduct(patches(spec, images, batch), kernel), [batch, tokens - 1, width]);
  const first = tf.add(tf.zeros([batch, 1, width]), parameters(`${prefix}class_embedding`));
  const positioned = tf.add(tf.concat([first, embedded], 1), parameters(`${prefix}positional_embedding`));
  return tf.reshape(positioned, [batch * tokens, width]) as Tensor2D;
}

/** `(batch, width)`: the class token of each image's tokens `(batch · tokens, width)`. */
export function classTokens(spec: VitSpec, rows: Tensor2D, batch: number): Tensor2D {
  const byImage = tf.reshape(rows, [batch, tokenCount(spec), spec.width]);
  return tf.reshape(tf.slice(byImage, [0, 0, 0], [batch, 1, spec.width]), [batch, spec.width]) as Tensor2D;
}

/**
 * Features `(batch, outputWidth)` of images `(batch, S, S, 3)`, differentiable in the parameters: patch embedding,
 * class token, positions, ln_pre, residual blocks, ln_post of the class token, projection.
 */
export function vitFeatures(spec: VitSpec, parameters: Parameters, images: Tensor): Tensor2D {
  const { prefix } = spec;
  const batch = images.shape[0]!;
  const rows = layerNorm(embedImages(spec, parameters, images), `${prefix}ln_pre`, parameters);
  const out = classTokens(spec, residualBlocks(rows, spec, batch, null, prefix, parameters), batch);
  return matrixProduct(layerNorm(out, `${prefix}ln_post`, parameters), parameters(`${prefix}proj`)) as Tensor2D;
}
