import type { Graph } from "./graph.js";
import { layerNorm, layerNormGradient } from "./layer-norm.js";
import type { ParameterSlot, StageKind } from "./stage.js";

/** The last stage of both towers: y = LN(x) · projection, x `(batch, width)`, y `(batch, outputWidth)`. */
export function pooling(width: number, outputWidth: number): StageKind {
  const parameters: ParameterSlot[] = [
    { name: "norm_weight", shape: [width] },
    { name: "norm_bias", shape: [width] },
    { name: "projection", shape: [width, outputWidth] },
  ];
  const declare = (graph: Graph) => parameters.map(({ name, shape }) => graph.input(name, shape));
  return {
    key: ["pooling", width, outputWidth].join("/"),
    parameters,
    input: { name: "x", shape: (batch) => [batch, width] },
    output: { name: "y", shape: (batch) => [batch, outputWidth] },
    saved: [],
    passesGradient: true,

    forward(graph) {
      const [weight, bias, projection] = declare(graph);
      const x = graph.input("x", ["B", width]);
      graph.output("y", graph.gemm(layerNorm(graph, x, weight!, bias!), projection!), ["B", outputWidth]);
    },

    /** dprojection = LN(x)ᵀ · dy;  dx = LN′(dy · projectionᵀ) */
    backward(graph) {
      const [weight, bias, projection] = declare(graph);
      const x = graph.input("x", ["B", width]);
      const dy = graph.input("d_y", ["B", outputWidth]);
      graph.output("d_projection", graph.gemm(layerNorm(graph, x, weight!, bias!), dy, { transA: true }), [width, outputWidth]);
      const norm = layerNormGradient(graph, x, weight!, graph.gemm(dy, projection!, { transB: true }), width);
      graph.output("d_norm_weight", norm.dWeight, [width]);
      graph.output("d_norm_bias", norm.dBias, [width]);
      graph.output("d_x", norm.dx, ["B", width]);
    },
  };
}
