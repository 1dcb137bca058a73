/**
 * Convolutions with kernels of 3×3 and a border of one zero on images `(batch, height, width, channels)`, in operations
 * that may be differentiated any number of times and that every tfjs backend has.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { matrixProduct } from "./matrix-product.js";

const SIDE = 3;

const BORDER: [number, number][] = [[0, 0], [1, 1], [1, 1], [0, 0]];

/** The nine positions of the kernel, row by row. */
const TAPS = Array.from({ length: SIDE * SIDE }, (_, tap) => [Math.floor(tap / SIDE), tap % SIDE] as const);

/** dL/d(kernel) `(3, 3, in, out)` from x `(batch, H, W, in)` and dL/d(output) `(batch, H, W, out)`. */
function kernelGradient(x: Tensor4D, dy: Tensor4D): Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const out = dy.shape[3];
  const rows = tf.reshape(dy, [-1, out]);
  const planes = tf.transpose(tf.pad(x, BORDER), [3, 0, 1, 2]);
  const taps = TAPS.map(([row, column]) => {
    const seen = tf.slice(planes, [0, 0, row, column], [channels, batch, height, width]);
    return matrixProduct(tf.reshape(seen, [channels, -1]), rows);
  });
  return tf.reshape(tf.concat(taps, 0), [SIDE, SIDE, channels, out]) as Tensor4D;
}

/**
 * `(batch, H, W, out)` of x `(batch, H, W, in)` and a kernel `(3, 3, in, out)`. The gradient is a convolution with the
 * turned kernel and nine matrix products: tfjs's own cannot be differentiated again, and its wasm backend lacks it.
 */
export function convolution(x: Tensor4D, kernel: Tensor4D): Tensor4D {
  const convolved = tf.customGrad((...inputs) => {
    const [images, weights] = inputs as [Tensor4D, Tensor4D];
    const save = inputs[2] as (tensors: Tensor[]) => void;
    save([images, weights]);
    return {
      // A border of one zero; TensorFlow takes it under this name alone.
      value: tf.conv2d(images, weights, 1, "same"),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [seen, used] = saved as [Tensor4D, Tensor4D];
        const gradient = dy as Tensor4D;
        const turned = tf.transpose(tf.reverse(used, [0, 1]), [0, 1, 3, 2]);
        return [convolution(gradient, turned), kernelGradient(seen, gradient)];
      },
    };
  });
  return convolved(x, kernel) as Tensor4D;
}

/** The same with stride 2 of x of even sides: `(batch, H/2, W/2, out)`. Differentiable in the kernel alone. */
export function stridedConvolution(x: Tensor4D, kernel: Tensor4D): Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const out = kernel.shape[3];
  const padded = tf.pad(x, BORDER);
  const seen = TAPS.map(([row, column]) => {
    const end = [batch, row + height, column + width, channels];
    return tf.stridedSlice(padded, [0, row, column, 0], end, [1, 2, 2, 1]);
  });
  const rows = tf.reshape(tf.concat(seen, 3), [-1, SIDE * SIDE * channels]);
  const product = matrixProduct(rows, tf.reshape(kernel, [SIDE * SIDE * channels, out]));
  return tf.reshape(product, [batch, height / 2, width / 2, out]) as Tensor4D;
}
