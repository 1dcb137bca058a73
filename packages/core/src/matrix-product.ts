import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";

/** The last two axes exchanged. */
function transposed(x: Tensor): Tensor {
  const order = x.shape.map((_, axis) => axis);
  const last = order.length - 1;
  [order[last], order[last - 1]] = [order[last - 1]!, order[last]!];
  return tf.transpose(x, order);
}

/**
 * a · b over the last two axes; leading axes are equal. The gradient transposes before it multiplies, where
 * tfjs's own multiplies with transposed operands, which is many times slower on the wasm backend.
 * Differentiable any number of times.
 */
export function matrixProduct(a: Tensor, b: Tensor): Tensor {
  const product = tf.customGrad((...inputs) => {
    const [left, right] = inputs as [Tensor, Tensor];
    const save = inputs[2] as (tensors: Tensor[]) => void;
    save([left, right]);
    return {
      value: tf.matMul(left, right),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [x, y] = saved as [Tensor, Tensor];
        return [matrixProduct(dy, transposed(y)), matrixProduct(transposed(x), dy)];
      },
    };
  });
  return product(a, b);
}

/** x · Wᵀ + b of rows `(rows, in)`, a weight `(out, in)` as PyTorch stores it, and a bias `(out)`. */
export function linear(x: Tensor2D, weight: Tensor, bias: Tensor): Tensor2D {
  return tf.add(matrixProduct(x, transposed(weight)), bias) as Tensor2D;
}
