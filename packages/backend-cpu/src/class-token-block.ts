import {
  attentionGradient, attentionTangent, attentionWeights, joinHeads, splitHeads, type AttentionSizes,
} from "./attention.js";
import { commonSlots, DERIVATIVE_PARAMETERS, type BlockSizes } from "./block-sizes.js";
import { tailBackward, tailForward, tailTangent } from "./block-tail.js";
import type { Graph, Value } from "./graph.js";
import { layerNorm, layerNormGradient, layerNormTangent, sumRows } from "./layer-norm.js";
import { linear, linearTangent } from "./linear.js";
import { declareParameters, type ActivationSlot, type ParameterSlot, type StageKind } from "./stage.js";

/** The first token of each image, `(batch, width)`, of rows `(batch · tokens, width)`. */
function firstTokens(graph: Graph, rows: Value, { tokens, width }: AttentionSizes): Value {
  return graph.slice(graph.reshape(rows, -1, tokens * width), 1, 0, width);
}

/** Rows `(batch · tokens, width)` with `values` `(batch, width)` at the first token of each image and 0 elsewhere. */
function atFirstTokens(graph: Graph, values: Value, { tokens, width }: BlockSizes): Value {
  return graph.reshape(graph.node("Pad", [values, graph.integers(0, 0, 0, (tokens - 1) * width)]), -1, width);
}

/**
 * The last residual block of an image encoder, of which only the class token is read: keys and values of all tokens,
 * all else for the class token. x `(batch · tokens, width)`, y `(batch, width)`. `query_*` are the first `width` rows
 * of the attention's input projection, `keyvalue_*` the others.
 */
export function classTokenBlock(sizes: BlockSizes): StageKind {
  const { width, heads, tokens, mlpWidth, activation } = sizes;
  const parameters: ParameterSlot[] = [
    { name: "query_weight", shape: [width, width] },
    { name: "query_bias", shape: [width] },
    { name: "keyvalue_weight", shape: [2 * width, width] },
    { name: "keyvalue_bias", shape: [2 * width] },
    ...commonSlots(sizes),
  ];
  const headWidth = width / heads;
  const one = (columns: number) => (batch: number): number[] => [batch, columns];
  const saved: ActivationSlot[] = [
    { name: "q", shape: (batch) => [batch, heads, 1, headWidth] },
    { name: "k", shape: (batch) => [batch, heads, tokens, headWidth] },
    { name: "v", shape: (batch) => [batch, heads, tokens, headWidth] },
    { name: "weights", shape: (batch) => [batch, heads, 1, tokens] },
    { name: "context", shape: one(width) },
    { name: "middle", shape: one(width) },
    { name: "hidden", shape: one(mlpWidth) },
  ];
  const activations = (graph: Graph) => ({
    x: graph.input("x", ["R", width]),
    q: graph.input("q", ["B", heads, 1, headWidth]),
    k: graph.input("k", ["B", heads, tokens, headWidth]),
    v: graph.input("v", ["B", heads, tokens, headWidth]),
    weights: graph.input("weights", ["B", heads, 1, tokens]),
    context: graph.input("context", ["B", width]),
    middle: graph.input("middle", ["B", width]),
    hidden: graph.input("hidden", ["B", mlpWidth]),
  });
  return {
    key: ["class-token-block", width, heads, tokens, mlpWidth, activation].join("/"),
    parameters,
    input: { name: "x", shape: (batch) => [batch * tokens, width] },
    output: { name: "y", shape: one(width) },
    saved,
    passesGradient: true,

    forward(graph, save) {
      const x = graph.input("x", ["R", width]);
      const p = declareParameters(graph, parameters);
      const normed = layerNorm(graph, x, p["norm1_weight"]!, p["norm1_bias"]!);
      const query = linear(graph, firstTokens(graph, normed, sizes), p["query_weight"]!, p["query_bias"]!);
      const keyValue = linear(graph, normed, p["keyvalue_weight"]!, p["keyvalue_bias"]!);
      const [q] = splitHeads(graph, query, 1, 1, sizes) as [Value];
      const [k, v] = splitHeads(graph, keyValue, tokens, 2, sizes) as [Value, Value];
      const weights = attentionWeights(graph, { q, k, v }, sizes);
      const context = joinHeads(graph, [graph.matmul(weights, v)], sizes);
      const { middle, hidden, y } = tailForward(graph, firstTokens(graph, x, sizes), context, p, sizes);
      graph.output("y", y, ["B", width]);
      if (!save) return;
      graph.output("q", q, ["B", heads, 1, headWidth]);
      graph.output("k", k, ["B", heads, tokens, headWidth]);
      graph.output("v", v, ["B", heads, tokens, headWidth]);
      graph.output("weights", weights, ["B", heads, 1, tokens]);
      graph.output("context", context, ["B", width]);
      graph.output("middle", middle, ["B", width]);
      graph.output("hidden", hidden, ["B", mlpWidth]);
    },

    /** As in `residualBlock`; what belongs to the class token alone is added to its row: dq · W_q before LN₁′, dx₁ after. */
    backward(graph) {
      const dy = graph.input("d_y", ["B", width]);
      const { x, q, k, v, weights, context, middle, hidden } = activations(graph);
      const p = declareParameters(graph, parameters, [...DERIVATIVE_PARAMETERS, "query_weight", "keyvalue_weight"]);
      const { dMiddle, dContext } = tailBackward(graph, dy, middle, hidden, context, p, sizes);
      const [dc] = splitHeads(graph, dContext, 1, 1, sizes) as [Value];
      const d = attentionGradient(graph, { q, k, v }, weights, dc, sizes);
      const dQuery = joinHeads(graph, [d.q], sizes);
      const dKeyValue = joinHeads(graph, [d.k, d.v], sizes);
      const normed = layerNorm(graph, x, p["norm1_weight"]!, p["norm1_bias"]!);
      graph.output("d_query_weight", graph.gemm(dQuery, firstTokens(graph, normed, sizes), { transA: true }), [width, width]);
      graph.output("d_query_bias", sumRows(graph, dQuery), [width]);
      graph.output("d_keyvalue_weight", graph.gemm(dKeyValue, normed, { transA: true }), [2 * width, width]);
      graph.output("d_keyvalue_bias", sumRows(graph, dKeyValue), [2 * width]);
      const dNormed = graph.add(
        graph.gemm(dKeyValue, p["keyvalue_weight"]!),
        atFirstTokens(graph, graph.gemm(dQuery, p["query_weight"]!), sizes),
      );
      const norm = layerNormGradient(graph, x, p["norm1_weight"]!, dNormed, width);
      graph.output("d_norm1_weight", norm.dWeight, [width]);
      graph.output("d_norm1_bias", norm.dBias, [width]);
      graph.output("d_x", graph.add(norm.dx, atFirstTokens(graph, dMiddle, sizes)), ["R", width]);
    },

    tangent(graph) {
      const { x, q, k, v, weights, context, middle, hidden } = activations(graph);
      const tx = graph.input("t_x", ["R", width]);
      const p = declareParameters(graph, parameters, [...DERIVATIVE_PARAMETERS, "query_weight", "keyvalue_weight"]);
      const t = declareParameters(graph, parameters, undefined, "t_");
      const normed = layerNorm(graph, x, p["norm1_weight"]!, p["norm1_bias"]!);
      const tNormed = layerNormTangent(graph, x, p["norm1_weight"]!, tx, t["norm1_weight"]!, t["norm1_bias"]!, width);
      const [first, tFirst] = [firstTokens(graph, normed, sizes), firstTokens(graph, tNormed, sizes)];
      const tQuery = linearTangent(graph, first, p["query_weight"]!, tFirst, t["query_weight"]!, t["query_bias"]!);
      const tKeyValue = linearTangent(graph, normed, p["keyvalue_weight"]!, tNormed, t["keyvalue_weight"]!, t["keyvalue_bias"]!);
      const [tq] = splitHeads(graph, tQuery, 1, 1, sizes) as [Value];
      const [tk, tv] = splitHeads(graph, tKeyValue, tokens, 2, sizes) as [Value, Value];
      const tContext = joinHeads(graph, [attentionTangent(graph, { q, k, v }, weights, { q: tq, k: tk, v: tv }, sizes)], sizes);
      const tFirstTokens = firstTokens(graph, tx, sizes);
      graph.output("t_y", tailTangent(graph, tFirstTokens, context, tContext, middle, hidden, p, t, sizes), ["B", width]);
    },
  };
}
