import type { ElementType } from "@atlas-tv/core";
import { Graph, type Value } from "./graph.js";
import type { OnnxElement } from "./onnx-model.js";

export type HostElement = Extract<ElementType, "F16" | "F32">;

const ONNX: Readonly<Record<HostElement, OnnxElement>> = { F16: "float16", F32: "float32" };
const FLOAT32 = 1;

function widened(graph: Graph, name: string, shape: readonly string[], element: HostElement): Value {
  const value = graph.input(name, shape, ONNX[element]);
  return element === "F32" ? value : graph.node("Cast", [value], { to: FLOAT32 });
}

/**
 * y = (w₀ τ₀ + w₁ τ₁ + …) + base over one tile `(S)`; each wᵢ is `(1)`. Half floats are widened on the way.
 * @param base null where it is left out.
 */
export function tileSum(base: HostElement | null, vectors: readonly HostElement[]): Graph {
  const graph = new Graph();
  const terms = vectors.map((element, i) => graph.mul(widened(graph, `t${i}`, ["S"], element), graph.input(`w${i}`, [1])));
  const sum = terms.reduce((left, right) => graph.add(left, right));
  graph.output("y", base === null ? sum : graph.add(sum, widened(graph, "base", ["S"], base)), ["S"]);
  return graph;
}

/** ⟨g, τᵢ⟩ over one tile, in P partial sums per vector: tiles are `(P, S)`, y is `(n · P)`. */
export function tileProducts(vectors: readonly HostElement[]): Graph {
  const graph = new Graph();
  const gradient = graph.input("g", ["P", "S"]);
  const products = vectors.map((element, i) => {
    const product = graph.mul(gradient, widened(graph, `t${i}`, ["P", "S"], element));
    return graph.node("ReduceSum", [product, graph.integers(1)], { keepdims: 0 });
  });
  graph.output("y", products.length === 1 ? products[0]! : graph.node("Concat", products, { axis: 0 }), ["N"]);
  return graph;
}

/** For each of `count` small blocks: y = w · [τ₀; τ₁; …] + base, w `(1, n)`, the stacked vectors `(n, S)`, y `(1, S)`. */
export function stackSums(count: number): Graph {
  const graph = new Graph();
  for (let p = 0; p < count; p++) {
    const sum = graph.matmul(graph.input(`w${p}`, [1, "n"]), graph.input(`stack${p}`, ["n", `S${p}`]));
    graph.output(`y${p}`, graph.add(sum, graph.input(`base${p}`, [1, `S${p}`])), [1, `S${p}`]);
  }
  return graph;
}

/** For each of `count` small blocks: ⟨g, τᵢ⟩ for every vector; y is `(count · n)`. */
export function stackProducts(count: number): Graph {
  const graph = new Graph();
  const products = Array.from({ length: count }, (_, p) => {
    const product = graph.mul(graph.input(`stack${p}`, ["n", `S${p}`]), graph.input(`g${p}`, [1, `S${p}`]));
    return graph.node("ReduceSum", [product, graph.integers(1)], { keepdims: 0 });
  });
  graph.output("y", count === 1 ? products[0]! : graph.node("Concat", products, { axis: 0 }), ["N"]);
  return graph;
}
