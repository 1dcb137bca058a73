import type { ElementType, OnnxElement } from "@atlas-tv/core";
import { Graph, type Value } from "./graph.js";

export type HostElement = Extract<ElementType, "F16" | "F32">;

const ONNX: Readonly<Record<HostElement, OnnxElement>> = { F16: "float16", F32: "float32" };
const FLOAT32 = 1;

function input(graph: Graph, name: string, element: HostElement): Value {
  return graph.input(name, [1, "S"], ONNX[element]);
}

function widened(graph: Graph, value: Value, element: HostElement): Value {
  return element === "F32" ? value : graph.node("Cast", [value], { to: FLOAT32 });
}

/** [τ₀; τ₁; …] `(n, S)` in float32, of inputs `t0`, `t1` … `(1, S)`. Half floats are put together first: half the bytes. */
function stacked(graph: Graph, vectors: readonly HostElement[]): Value {
  const values = vectors.map((element, i) => input(graph, `t${i}`, element));
  const together = (parts: readonly Value[]): Value => (parts.length === 1 ? parts[0]! : graph.node("Concat", parts, { axis: 0 }));
  const [first] = vectors as [HostElement];
  if (vectors.every((element) => element === first)) return widened(graph, together(values), first);
  return together(values.map((value, i) => widened(graph, value, vectors[i]!)));
}

/**
 * y = w · [τ₀; τ₁; …] + base over one tile; w is `(1, n)`, all others `(1, S)`.
 * @param base null where it is left out.
 */
export function tileSum(base: HostElement | null, vectors: readonly HostElement[]): Graph {
  const graph = new Graph();
  const sum = graph.matmul(graph.input("w", [1, vectors.length]), stacked(graph, vectors));
  graph.output("y", base === null ? sum : graph.add(sum, widened(graph, input(graph, "base", base), base)), [1, "S"]);
  return graph;
}

/** y = [τ₀; τ₁; …] · g over one tile; g is `(S, 1)`, y `(n, 1)`. */
export function tileProducts(vectors: readonly HostElement[]): Graph {
  const graph = new Graph();
  graph.output("y", graph.matmul(stacked(graph, vectors), graph.input("g", ["S", 1])), [vectors.length, 1]);
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
