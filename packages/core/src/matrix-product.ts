import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";

/** Which operand is transposed, in the letters of BLAS: `NN` a · b, `TN` aᵀ · b, `NT` a · bᵀ. */
type Layout = "NN" | "TN" | "NT";

/**
 * Layouts in which a tfjs backend's own kernel is slow: there the operand is transposed before. The kernel of wasm takes 10 to
 * 40 times as long, that of webgpu reads a transposed right operand number by number rather than four at a time.
 */
const SLOW_LAYOUTS: Readonly<Record<string, readonly Layout[]>> = { wasm: ["TN", "NT"], webgpu: ["NT"] };

/** The last two axes exchanged. */
function transposed(x: Tensor): Tensor {
  const order = x.shape.map((_, axis) => axis);
  const last = order.length - 1;
  [order[last], order[last - 1]] = [order[last - 1]!, order[last]!];
  return tf.transpose(x, order);
}

function multiply(a: Tensor, b: Tensor, layout: Layout): Tensor {
  if (SLOW_LAYOUTS[tf.getBackend()]?.includes(layout) !== true) return tf.matMul(a, b, layout === "TN", layout === "NT");
  return layout === "TN" ? tf.matMul(transposed(a), b) : tf.matMul(a, transposed(b));
}

/** dL/da and dL/db of a product, from dL/d(product). */
function productGradients(a: Tensor, b: Tensor, layout: Layout, dy: Tensor): [Tensor, Tensor] {
  switch (layout) {
    case "NN": return [matrixProduct(dy, b, "NT"), matrixProduct(a, dy, "TN")];
    case "NT": return [matrixProduct(dy, b), matrixProduct(dy, a, "TN")];
    case "TN": return [matrixProduct(b, dy, "NT"), matrixProduct(a, dy)];
  }
}

/**
 * The product of the last two axes; leading axes are equal. Differentiable any number of times, each derivative again
 * being products of these layouts.
 */
export function matrixProduct(a: Tensor, b: Tensor, layout: Layout = "NN"): Tensor {
  const product = tf.customGrad((...inputs) => {
    const [left, right] = inputs as [Tensor, Tensor];
    const save = inputs[2] as (tensors: Tensor[]) => void;
    save([left, right]);
    return {
      value: multiply(left, right, layout),
      gradFunc: (dy: Tensor, saved: Tensor[]) => productGradients(saved[0]!, saved[1]!, layout, dy),
    };
  });
  return product(a, b);
}

/** x · Wᵀ + b of rows `(rows, in)`, a weight `(out, in)` as PyTorch stores it, and a bias `(out)`. */
export function linear(x: Tensor2D, weight: Tensor, bias: Tensor): Tensor2D {
  return tf.add(matrixProduct(x, weight, "NT"), bias) as Tensor2D;
}
