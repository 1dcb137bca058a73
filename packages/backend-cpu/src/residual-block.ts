import { attentionGradient, attentionTangent, attentionWeights, joinHeads, splitHeads } from "./attention.js";
import { commonSlots, DERIVATIVE_PARAMETERS, type BlockSizes } from "./block-sizes.js";
import { tailBackward, tailForward, tailTangent } from "./block-tail.js";
import type { Graph, Value } from "./graph.js";
import { layerNorm, layerNormGradient, layerNormTangent, sumRows } from "./layer-norm.js";
import { linear, linearTangent } from "./linear.js";
import { declareParameters, type ActivationSlot, type ParameterSlot, type StageKind } from "./stage.js";

/**
 * A residual block on all tokens, x `(batch · tokens, width)`:
 *
 *     x₁ = x + attention(LN₁(x))    y = x₁ + W_proj · act(W_fc · LN₂(x₁))
 *
 * q, k and v come from one product with `in_weight` (3 · width, width).
 */
export function residualBlock(sizes: BlockSizes): StageKind {
  const { width, heads, tokens, mlpWidth, causal, activation } = sizes;
  const parameters: ParameterSlot[] = [
    { name: "in_weight", shape: [3 * width, width] },
    { name: "in_bias", shape: [3 * width] },
    ...commonSlots(sizes),
  ];
  const rows = (columns: number) => (batch: number): number[] => [batch * tokens, columns];
  const perHead = (columns: number) => (batch: number): number[] => [batch, heads, tokens, columns];
  const saved: ActivationSlot[] = [
    ...["q", "k", "v"].map((name) => ({ name, shape: perHead(width / heads) })),
    { name: "weights", shape: perHead(tokens) },
    { name: "context", shape: rows(width) },
    { name: "middle", shape: rows(width) },
    { name: "hidden", shape: rows(mlpWidth) },
  ];
  const activations = (graph: Graph) => ({
    x: graph.input("x", ["R", width]),
    q: graph.input("q", ["B", heads, tokens, width / heads]),
    k: graph.input("k", ["B", heads, tokens, width / heads]),
    v: graph.input("v", ["B", heads, tokens, width / heads]),
    weights: graph.input("weights", ["B", heads, tokens, tokens]),
    context: graph.input("context", ["R", width]),
    middle: graph.input("middle", ["R", width]),
    hidden: graph.input("hidden", ["R", mlpWidth]),
  });
  return {
    key: ["block", width, heads, tokens, mlpWidth, causal, activation].join("/"),
    parameters,
    input: { name: "x", shape: rows(width) },
    output: { name: "y", shape: rows(width) },
    saved,
    passesGradient: true,

    forward(graph, save) {
      const x = graph.input("x", ["R", width]);
      const p = declareParameters(graph, parameters);
      const normed = layerNorm(graph, x, p["norm1_weight"]!, p["norm1_bias"]!);
      const projected = linear(graph, normed, p["in_weight"]!, p["in_bias"]!);
      const [q, k, v] = splitHeads(graph, projected, tokens, 3, sizes) as [Value, Value, Value];
      const weights = attentionWeights(graph, { q, k, v }, sizes);
      const context = joinHeads(graph, [graph.matmul(weights, v)], sizes);
      const { middle, hidden, y } = tailForward(graph, x, context, p, sizes);
      graph.output("y", y, ["R", width]);
      if (!save) return;
      for (const [name, value] of Object.entries({ q, k, v })) graph.output(name, value, ["B", heads, tokens, width / heads]);
      graph.output("weights", weights, ["B", heads, tokens, tokens]);
      graph.output("context", context, ["R", width]);
      graph.output("middle", middle, ["R", width]);
      graph.output("hidden", hidden, ["R", mlpWidth]);
    },

    /** dx = dx₁ + LN₁′(dqkv · W_in);  dW_in = dqkvᵀ · LN₁(x);  db_in = Σ dqkv */
    backward(graph) {
      const dy = graph.input("d_y", ["R", width]);
      const { x, q, k, v, weights, context, middle, hidden } = activations(graph);
      const p = declareParameters(graph, parameters, [...DERIVATIVE_PARAMETERS, "in_weight"]);
      const { dMiddle, dContext } = tailBackward(graph, dy, middle, hidden, context, p, sizes);
      const [dc] = splitHeads(graph, dContext, tokens, 1, sizes) as [Value];
      const d = attentionGradient(graph, { q, k, v }, weights, dc, sizes);
      const dIn = joinHeads(graph, [d.q, d.k, d.v], sizes);
      const normed = layerNorm(graph, x, p["norm1_weight"]!, p["norm1_bias"]!);
      graph.output("d_in_weight", graph.gemm(dIn, normed, { transA: true }), [3 * width, width]);
      graph.output("d_in_bias", sumRows(graph, dIn), [3 * width]);
      const norm = layerNormGradient(graph, x, p["norm1_weight"]!, graph.gemm(dIn, p["in_weight"]!), width);
      graph.output("d_norm1_weight", norm.dWeight, [width]);
      graph.output("d_norm1_bias", norm.dBias, [width]);
      graph.output("d_x", graph.add(dMiddle, norm.dx), ["R", width]);
    },

    tangent(graph) {
      const { x, q, k, v, weights, context, middle, hidden } = activations(graph);
      const tx = graph.input("t_x", ["R", width]);
      const p = declareParameters(graph, parameters, [...DERIVATIVE_PARAMETERS, "in_weight"]);
      const t = declareParameters(graph, parameters, undefined, "t_");
      const normed = layerNorm(graph, x, p["norm1_weight"]!, p["norm1_bias"]!);
      const tNormed = layerNormTangent(graph, x, p["norm1_weight"]!, tx, t["norm1_weight"]!, t["norm1_bias"]!, width);
      const tIn = linearTangent(graph, normed, p["in_weight"]!, tNormed, t["in_weight"]!, t["in_bias"]!);
      const [tq, tk, tv] = splitHeads(graph, tIn, tokens, 3, sizes) as [Value, Value, Value];
      const tContext = joinHeads(graph, [attentionTangent(graph, { q, k, v }, weights, { q: tq, k: tk, v: tv }, sizes)], sizes);
      graph.output("t_y", tailTangent(graph, tx, context, tContext, middle, hidden, p, t, sizes), ["R", width]);
    },
  };
}
