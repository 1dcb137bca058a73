import type { Graph, Value } from "./graph.js";

/** x · Wᵀ + b */
export function linear(graph: Graph, x: Value, weight: Value, bias: Value): Value {
  return graph.gemm(x, weight, { transB: true, c: bias });
}

/** The change of s · x · Wᵀ + b to first order, from those of x, W and b (marked ′): s · (x′ · Wᵀ + x · W′ᵀ) + b′ */
export function linearTangent(graph: Graph, x: Value, weight: Value, tx: Value, tWeight: Value, tBias: Value, scale = 1): Value {
  const moving = graph.gemm(x, tWeight, { transB: true, c: tBias, alpha: scale });
  return graph.gemm(tx, weight, { transB: true, c: moving, alpha: scale });
}
