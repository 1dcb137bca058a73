import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";

/** Keeps tensors alive for the backward pass. */
type Save = (tensors: Tensor[]) => void;

/**
 * Rows of a table `(count, width)` at `indices` (int32), `(indices, width)`. Its gradient is a scatter: tfjs's own
 * runs once over the indices for every row of the table, and is absent from the wasm backend.
 * Differentiable any number of times.
 */
export function gatherRows(table: Tensor2D, indices: Tensor1D): Tensor2D {
  const [count] = table.shape;
  const gather = tf.customGrad((...inputs) => {
    (inputs[1] as Save)([indices]);
    return {
      value: tf.gather(inputs[0] as Tensor2D, indices),
      gradFunc: (dy: Tensor, saved: Tensor[]) => scatterRows(dy as Tensor2D, saved[0] as Tensor1D, count),
    };
  });
  return gather(table) as Tensor2D;
}

/** The adjoint of `gatherRows`: a table of `count` rows into which each row is added at its index. */
function scatterRows(rows: Tensor2D, indices: Tensor1D, count: number): Tensor2D {
  const scatter = tf.customGrad((...inputs) => {
    (inputs[1] as Save)([indices]);
    return {
      value: tf.scatterND(tf.expandDims(indices, 1), inputs[0] as Tensor2D, [count, rows.shape[1]]),
      gradFunc: (dy: Tensor, saved: Tensor[]) => gatherRows(dy as Tensor2D, saved[0] as Tensor1D),
    };
  });
  return scatter(rows) as Tensor2D;
}
