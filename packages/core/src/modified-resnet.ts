/**
 * CLIP's ResNet (Radford et al. 2021, section 2.4; RN50, RN101) in ordinary tfjs operations that may be differentiated
 * twice: a stem of three convolutions, four stages of bottlenecks whose strides are average pooling, attention pooling.
 * Activations are images `(batch, height, width, channels)`. BatchNorm is in evaluation mode, always.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import { convolution, stridedConvolution } from "./convolution.js";
import type { ModifiedResNetSpec } from "./encoder-spec.js";
import { linear, matrixProduct } from "./matrix-product.js";
import type { Parameters } from "./transformer.js";

/** Of PyTorch's BatchNorm, with which CLIP was trained. */
const BATCH_NORM_EPSILON = 1e-5;

interface Model {
  readonly parameters: Parameters;
  /** The running statistics of BatchNorm. */
  readonly buffers: Parameters;
}

/**
 * A convolution's kernel `(height, width, in, out)` and bias `(out)`, with the BatchNorm after it folded in: as its
 * statistics are constants, BatchNorm is a factor and a summand for each channel.
 */
function normalisedKernel({ parameters, buffers }: Model, kernel: string, norm: string): { kernel: Tensor4D; bias: Tensor } {
  const deviation = tf.sqrt(tf.add(buffers(`${norm}.running_var`), BATCH_NORM_EPSILON));
  const factor = tf.div(parameters(`${norm}.weight`), deviation);
  // PyTorch stores (out, in, height, width).
  const stored = tf.transpose(parameters(`${kernel}.weight`), [2, 3, 1, 0]);
  return {
    kernel: tf.mul(stored, factor) as Tensor4D,
    bias: tf.sub(parameters(`${norm}.bias`), tf.mul(buffers(`${norm}.running_mean`), factor)),
  };
}

/** Convolution with a kernel of 1×1 and BatchNorm. */
function pointwise(x: Tensor4D, model: Model, name: string, norm: string): Tensor4D {
  const { kernel, bias } = normalisedKernel(model, name, norm);
  const [batch, height, width, channels] = x.shape;
  const out = kernel.shape[3];
  const product = matrixProduct(tf.reshape(x, [-1, channels]), tf.reshape(kernel, [channels, out]));
  return tf.reshape(tf.add(product, bias), [batch, height, width, out]) as Tensor4D;
}

/** Convolution with a kernel of 3×3, BatchNorm and ReLU. */
function spatial(x: Tensor4D, model: Model, name: string, norm: string, convolve = convolution): Tensor4D {
  const { kernel, bias } = normalisedKernel(model, name, norm);
  return tf.relu(tf.add(convolve(x, kernel), bias)) as Tensor4D;
}

/** Means over squares of 2×2: `(batch, H/2, W/2, channels)`. tfjs's own pooling cannot be differentiated twice. */
function averagePool(x: Tensor4D): Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const squares = tf.reshape(x, [(batch * height) / 2, 2, width / 2, 2, channels]);
  return tf.reshape(tf.mean(squares, [1, 3]), [batch, height / 2, width / 2, channels]) as Tensor4D;
}

/** Three convolutions, the first with stride 2, and pooling: a quarter of the side. */
function stem(images: Tensor4D, model: Model, prefix: string): Tensor4D {
  let x = spatial(images, model, `${prefix}conv1`, `${prefix}bn1`, stridedConvolution);
  x = spatial(x, model, `${prefix}conv2`, `${prefix}bn2`);
  return averagePool(spatial(x, model, `${prefix}conv3`, `${prefix}bn3`));
}

/** @param projected whether the shortcut has a convolution of its own, as where the shape changes. */
function bottleneck(x: Tensor4D, model: Model, name: string, stride: 1 | 2, projected: boolean): Tensor4D {
  const reduced = tf.relu(pointwise(x, model, `${name}.conv1`, `${name}.bn1`)) as Tensor4D;
  const inner = spatial(reduced, model, `${name}.conv2`, `${name}.bn2`);
  const out = pointwise(stride === 2 ? averagePool(inner) : inner, model, `${name}.conv3`, `${name}.bn3`);
  if (!projected) return tf.relu(tf.add(out, x)) as Tensor4D;
  const smaller = stride === 2 ? averagePool(x) : x;
  return tf.relu(tf.add(out, pointwise(smaller, model, `${name}.downsample.0`, `${name}.downsample.1`))) as Tensor4D;
}

/**
 * Features `(batch, outputWidth)`: the mean of all positions asks, by multi-head attention, itself and the positions
 * `(batch, side, side, channels)`.
 */
export function attentionPool(x: Tensor4D, spec: ModifiedResNetSpec, parameters: Parameters): Tensor2D {
  const name = `${spec.prefix}attnpool`;
  const { heads } = spec;
  const [batch, height, width, channels] = x.shape;
  const tokens = height * width + 1;
  const headWidth = channels / heads;
  const positions = tf.reshape(x, [batch, tokens - 1, channels]);
  const all = tf.concat([tf.mean(positions, 1, true), positions], 1);
  const placed = tf.add(all, parameters(`${name}.positional_embedding`));
  const asking = tf.reshape(tf.slice(placed, [0, 0, 0], [batch, 1, channels]), [batch, channels]) as Tensor2D;
  const rows = tf.reshape(placed, [batch * tokens, channels]) as Tensor2D;

  const projected = (from: Tensor2D, part: string): Tensor2D => {
    return linear(from, parameters(`${name}.${part}_proj.weight`), parameters(`${name}.${part}_proj.bias`));
  };
  const byHead = (part: "k" | "v"): Tensor => tf.reshape(projected(rows, part), [batch, tokens, heads, headWidth]);
  const query = tf.reshape(tf.mul(projected(asking, "q"), headWidth ** -0.5), [batch, heads, 1, headWidth]);
  const weights = tf.softmax(matrixProduct(query, tf.transpose(byHead("k"), [0, 2, 3, 1])), -1);
  const mixed = matrixProduct(weights, tf.transpose(byHead("v"), [0, 2, 1, 3]));
  return projected(tf.reshape(mixed, [batch, channels]) as Tensor2D, "c");
}

/** Features `(batch, outputWidth)` of images `(batch, S, S, 3)`, differentiable in the parameters. */
export function resNetFeatures(spec: ModifiedResNetSpec, parameters: Parameters, images: Tensor, buffers: Parameters): Tensor2D {
  const model: Model = { parameters, buffers };
  let x = stem(images as Tensor4D, model, spec.prefix);
  spec.layers.forEach((depth, stage) => {
    for (let block = 0; block < depth; block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      x = bottleneck(x, model, `${spec.prefix}layer${stage + 1}.${block}`, stride, block === 0);
    }
  });
  return attentionPool(x, spec, parameters);
}
