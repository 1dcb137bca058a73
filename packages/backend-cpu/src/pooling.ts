import { layerNorm, layerNormGradient, layerNormTangent } from "./layer-norm.js";
import { declareParameters, type ParameterSlot, type StageKind } from "./stage.js";

/** The last stage of both towers: y = LN(x) · projection, x `(batch, width)`, y `(batch, outputWidth)`. */
export function pooling(width: number, outputWidth: number): StageKind {
  const parameters: ParameterSlot[] = [
    { name: "norm_weight", shape: [width] },
    { name: "norm_bias", shape: [width] },
    { name: "projection", shape: [width, outputWidth] },
  ];
  return {
    key: ["pooling", width, outputWidth].join("/"),
    parameters,
    input: { name: "x", shape: (batch) => [batch, width] },
    output: { name: "y", shape: (batch) => [batch, outputWidth] },
    saved: [],
    passesGradient: true,

    forward(graph) {
      const p = declareParameters(graph, parameters);
      const x = graph.input("x", ["B", width]);
      graph.output("y", graph.gemm(layerNorm(graph, x, p["norm_weight"]!, p["norm_bias"]!), p["projection"]!), ["B", outputWidth]);
    },

    /** dprojection = LN(x)ᵀ · dy;  dx = LN′(dy · projectionᵀ) */
    backward(graph) {
      const p = declareParameters(graph, parameters);
      const x = graph.input("x", ["B", width]);
      const dy = graph.input("d_y", ["B", outputWidth]);
      const normed = layerNorm(graph, x, p["norm_weight"]!, p["norm_bias"]!);
      graph.output("d_projection", graph.gemm(normed, dy, { transA: true }), [width, outputWidth]);
      const norm = layerNormGradient(graph, x, p["norm_weight"]!, graph.gemm(dy, p["projection"]!, { transB: true }), width);
      graph.output("d_norm_weight", norm.dWeight, [width]);
      graph.output("d_norm_bias", norm.dBias, [width]);
      graph.output("d_x", norm.dx, ["B", width]);
    },

    /** y′ = LN(x)′ · projection + LN(x) · projection′ */
    tangent(graph) {
      const p = declareParameters(graph, parameters);
      const t = declareParameters(graph, parameters, undefined, "t_");
      const x = graph.input("x", ["B", width]);
      const tx = graph.input("t_x", ["B", width]);
      const normed = layerNorm(graph, x, p["norm_weight"]!, p["norm_bias"]!);
      const tNormed = layerNormTangent(graph, x, p["norm_weight"]!, tx, t["norm_weight"]!, t["norm_bias"]!, width);
      graph.output("t_y", graph.gemm(tNormed, p["projection"]!, { c: graph.gemm(normed, t["projection"]!) }), ["B", outputWidth]);
    },
  };
}
