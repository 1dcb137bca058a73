import type { Graph, Value } from "./graph.js";

/** Of PyTorch's LayerNorm, with which CLIP was trained. */
const EPSILON = 1e-5;

function normalise(graph: Graph, x: Value, scale: Value, shift: Value): [Value, Value] {
  const [y, , inverseDeviation] = graph.nodes("LayerNormalization", [x, scale, shift], 3, { axis: -1, epsilon: { float: EPSILON } });
  return [y!, inverseDeviation!];
}

/** y = x̂ ∘ w + b with x̂ = (x − mean) · r, r = 1 / √(variance + ε), over the rows of x `(rows, width)`. */
export function layerNorm(graph: Graph, x: Value, weight: Value, bias: Value): Value {
  return graph.node("LayerNormalization", [x, weight, bias], { axis: -1, epsilon: { float: EPSILON } });
}

export interface LayerNormGradient {
  readonly dx: Value;
  readonly dWeight: Value;
  readonly dBias: Value;
}

/**
 * The derivative of `layerNorm`, with x̂ and r computed anew from x. With g = dy ∘ w:
 *
 *     dw = Σ_rows dy ∘ x̂        db = Σ_rows dy
 *     dx = r · (g − mean(g) − x̂ · mean(g ∘ x̂))
 *
 * Both means are products with w: mean(g) = dy · w / width, mean(g ∘ x̂) = (dy ∘ x̂) · w / width.
 */
export function layerNormGradient(graph: Graph, x: Value, weight: Value, dy: Value, width: number): LayerNormGradient {
  const [normalised, inverseDeviation] = normalise(graph, x, graph.filled(1, [width]), graph.filled(0, [width]));
  const product = graph.mul(dy, normalised);
  const column = graph.reshape(graph.mul(weight, graph.scalar(1 / width)), width, 1);
  const meanGradient = graph.matmul(dy, column);
  const meanProduct = graph.matmul(product, column);
  const centred = graph.sub(graph.mul(dy, weight), meanGradient);
  const dx = graph.mul(graph.sub(centred, graph.mul(normalised, meanProduct)), inverseDeviation);
  return { dx, dWeight: sumRows(graph, product), dBias: sumRows(graph, dy) };
}

/**
 * The change of `layerNorm` to first order, from those of x, w and b (marked ′):
 *
 *     y′ = x̂′ ∘ w + x̂ ∘ w′ + b′,  x̂′ = r · (x′ − mean(x′) − x̂ · mean(x̂ ∘ x′))
 */
export function layerNormTangent(
  graph: Graph,
  x: Value,
  weight: Value,
  tx: Value,
  tWeight: Value,
  tBias: Value,
  width: number,
): Value {
  const [normalised, inverseDeviation] = normalise(graph, x, graph.filled(1, [width]), graph.filled(0, [width]));
  const average = graph.filled(1 / width, [width, 1]);
  const centred = graph.sub(tx, graph.matmul(tx, average));
  const along = graph.matmul(graph.mul(normalised, tx), average);
  const tNormalised = graph.mul(graph.sub(centred, graph.mul(normalised, along)), inverseDeviation);
  return graph.add(graph.add(graph.mul(tNormalised, weight), graph.mul(normalised, tWeight)), tBias);
}

/** Σ over the rows of `(rows, width)`: the gradient of a bias, `(width)`. */
export function sumRows(graph: Graph, x: Value): Value {
  return graph.node("ReduceSum", [x, graph.integers(0)], { keepdims: 0 });
}
