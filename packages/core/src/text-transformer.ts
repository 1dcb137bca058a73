import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { TextTransformerSpec } from "./encoder-spec.js";
import { matrixProduct } from "./matrix-product.js";
import { gatherRows } from "./row-gather.js";
import { causalMask, layerNorm, residualBlocks, type Parameters } from "./transformer.js";

/**
 * Features `(batch, outputWidth)` of token ids `(batch, contextLength)`, differentiable in the parameters. The
 * feature is read at the first position of the largest id of a row, which is the end-of-text token.
 */
export function textFeatures(spec: TextTransformerSpec, parameters: Parameters, ids: Tensor): Tensor2D {
  const { prefix, width, contextLength } = spec;
  const batch = ids.shape[0]!;
  const indices = tf.cast(tf.reshape(ids, [-1]), "int32") as Tensor1D;
  const table = parameters(`${prefix}token_embedding.weight`) as Tensor2D;
  const embedded = tf.reshape(gatherRows(table, indices), [batch, contextLength, width]);
  const positioned = tf.add(embedded, parameters(`${prefix}positional_embedding`));
  const rows = tf.reshape(positioned, [batch * contextLength, width]) as Tensor2D;
  const out = residualBlocks(rows, spec, batch, causalMask(contextLength), prefix, parameters);

  // Of equal ids the earlier counts more: backends differ in which of equal values argMax takes.
  const ranks = tf.add(tf.mul(ids, contextLength), tf.range(contextLength - 1, -1, -1));
  const starts = tf.mul(tf.range(0, batch, 1, "int32"), tf.scalar(contextLength, "int32"));
  const ends = tf.add(starts, tf.argMax(ranks, 1)) as Tensor1D;
  const last = layerNorm(gatherRows(out, ends), `${prefix}ln_final`, parameters);
  return matrixProduct(last, parameters(`${prefix}text_projection`)) as Tensor2D;
}
