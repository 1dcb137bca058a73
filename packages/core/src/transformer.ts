/**
 * The transformer that both towers of CLIP share, in ordinary tfjs operations that may be differentiated twice.
 * Activations are rows: `(batch · tokens, width)`.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { Activation } from "./encoder-spec.js";
import { linear, matrixProduct } from "./matrix-product.js";

/** The composed parameters, by block name. */
export type Parameters = (name: string) => Tensor;

/** Of PyTorch's LayerNorm, with which CLIP was trained. */
const LAYER_NORM_EPSILON = 1e-5;

/** Added to the scores of tokens that must not be seen: their softmax is exactly 0 in float32. */
const MASKED = -1e9;

interface TransformerShape {
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly activation: Activation;
}

/** LayerNorm over the width, biased variance; weight and bias `${name}.weight`, `${name}.bias`. */
export function layerNorm(x: Tensor2D, name: string, parameters: Parameters): Tensor2D {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const deviation = tf.sqrt(tf.add(tf.mean(tf.square(centred), -1, true), LAYER_NORM_EPSILON));
  const normalised = tf.div(centred, deviation);
  return tf.add(tf.mul(normalised, parameters(`${name}.weight`)), parameters(`${name}.bias`)) as Tensor2D;
}

/** quick_gelu: x · σ(1.702 x); gelu: the exact one, with the error function. */
export function activate(x: Tensor2D, activation: Activation): Tensor2D {
  if (activation === "quick_gelu") return tf.mul(x, tf.sigmoid(tf.mul(x, 1.702))) as Tensor2D;
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)) as Tensor2D;
}

/** `(tokens, tokens)`: row t may see columns 0 … t. */
export function causalMask(tokens: number): Tensor2D {
  const mask = new Float32Array(tokens * tokens);
  for (let row = 0; row < tokens; row++) mask.fill(MASKED, row * tokens + row + 1, (row + 1) * tokens);
  return tf.tensor2d(mask, [tokens, tokens]);
}

function attention(
  x: Tensor2D,
  shape: TransformerShape,
  batch: number,
  mask: Tensor2D | null,
  name: string,
  parameters: Parameters,
): Tensor2D {
  const { heads, width } = shape;
  const tokens = x.shape[0] / batch;
  const headWidth = width / heads;
  const qkv = linear(x, parameters(`${name}.in_proj_weight`), parameters(`${name}.in_proj_bias`));
  const byHead = (part: Tensor): Tensor => tf.reshape(part, [batch, tokens, heads, headWidth]);
  const [q, k, v] = tf.split(qkv, 3, 1).map(byHead) as [Tensor, Tensor, Tensor];
  const scaled = tf.mul(tf.transpose(q, [0, 2, 1, 3]), headWidth ** -0.5);
  const scores = matrixProduct(scaled, tf.transpose(k, [0, 2, 3, 1]));
  const weights = tf.softmax(mask === null ? scores : tf.add(scores, mask), -1);
  const mixed = tf.transpose(matrixProduct(weights, tf.transpose(v, [0, 2, 1, 3])), [0, 2, 1, 3]);
  const joined = tf.reshape(mixed, [batch * tokens, width]) as Tensor2D;
  return linear(joined, parameters(`${name}.out_proj.weight`), parameters(`${name}.out_proj.bias`));
}

/**
 * The residual blocks: x += attention(ln_1 x); x += c_proj(activation(c_fc(ln_2 x))).
 * @param x `(batch · tokens, width)`
 * @param prefix of the tower's parameter names, e.g. `visual.`
 */
export function residualBlocks(
  x: Tensor2D,
  shape: TransformerShape,
  batch: number,
  mask: Tensor2D | null,
  prefix: string,
  parameters: Parameters,
): Tensor2D {
  let rows = x;
  for (let layer = 0; layer < shape.layers; layer++) {
    const name = `${prefix}transformer.resblocks.${layer}`;
    const attended = attention(layerNorm(rows, `${name}.ln_1`, parameters), shape, batch, mask, `${name}.attn`, parameters);
    rows = tf.add(rows, attended) as Tensor2D;
    const hidden = linear(
      layerNorm(rows, `${name}.ln_2`, parameters),
      parameters(`${name}.mlp.c_fc.weight`),
      parameters(`${name}.mlp.c_fc.bias`),
    );
    const out = linear(
      activate(hidden, shape.activation),
      parameters(`${name}.mlp.c_proj.weight`),
      parameters(`${name}.mlp.c_proj.bias`),
    );
    rows = tf.add(rows, out) as Tensor2D;
  }
  return rows;
}
