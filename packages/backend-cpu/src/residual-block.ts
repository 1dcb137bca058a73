import type { Activation } from "@atlas-tv/core";
import { activationRule } from "./activation.js";
import { attentionGradient, attentionWeights, joinHeads, splitHeads, type AttentionSizes } from "./attention.js";
import type { Graph, Value } from "./graph.js";
import { layerNorm, layerNormGradient, sumRows } from "./layer-norm.js";
import type { ActivationSlot, ParameterSlot, StageKind } from "./stage.js";

export interface BlockSizes extends AttentionSizes {
  readonly mlpWidth: number;
  readonly activation: Activation;
}

type Inputs = Record<string, Value>;

function declare(graph: Graph, slots: readonly ParameterSlot[], wanted: readonly string[]): Inputs {
  return Object.fromEntries(slots.filter(({ name }) => wanted.includes(name)).map(({ name, shape }) => [name, graph.input(name, shape)]));
}

/** Slots of LayerNorms, attention output and MLP, in both kinds of block. */
function commonSlots({ width, mlpWidth }: BlockSizes): ParameterSlot[] {
  return [
    { name: "norm1_weight", shape: [width] },
    { name: "norm1_bias", shape: [width] },
    { name: "out_weight", shape: [width, width] },
    { name: "out_bias", shape: [width] },
    { name: "norm2_weight", shape: [width] },
    { name: "norm2_bias", shape: [width] },
    { name: "fc_weight", shape: [mlpWidth, width] },
    { name: "fc_bias", shape: [mlpWidth] },
    { name: "proj_weight", shape: [width, mlpWidth] },
    { name: "proj_bias", shape: [width] },
  ];
}

const linear = (graph: Graph, x: Value, weight: Value, bias: Value): Value => graph.gemm(x, weight, { transB: true, c: bias });

/** x₁ = x + c · W_oᵀ + b_o;  z = s · (LN₂(x₁) · W_fcᵀ + b_fc);  y = x₁ + act(z / s) · W_projᵀ + b_proj */
function mlpForward(graph: Graph, x: Value, context: Value, p: Inputs, { activation }: BlockSizes): { middle: Value; hidden: Value; y: Value } {
  const rule = activationRule(activation);
  const middle = graph.add(x, linear(graph, context, p["out_weight"]!, p["out_bias"]!));
  const normed = layerNorm(graph, middle, p["norm2_weight"]!, p["norm2_bias"]!);
  const hidden = graph.gemm(normed, p["fc_weight"]!, { transB: true, c: p["fc_bias"]!, alpha: rule.scale, beta: rule.scale });
  const out = graph.gemm(rule.value(graph, hidden), p["proj_weight"]!, { transB: true, c: p["proj_bias"]!, alpha: 1 / rule.scale });
  return { middle, hidden, y: graph.add(middle, out) };
}

/**
 * The derivative of `mlpForward`, a = act(u), h = LN₂(x₁):
 *
 *     dW_proj = dyᵀ · a    db_proj = Σ dy    du = (dy · W_proj) ∘ act′(u)
 *     dW_fc = duᵀ · h      db_fc = Σ du      dx₁ = dy + LN₂′(du · W_fc)
 *     dW_o = dx₁ᵀ · c      db_o = Σ dx₁      dc = dx₁ · W_o
 *
 * @returns dx₁ (which is also the residual part of dx) and dc; the parameters' gradients become outputs.
 */
function mlpBackward(graph: Graph, dy: Value, middle: Value, hidden: Value, context: Value, p: Inputs, sizes: BlockSizes): { dMiddle: Value; dContext: Value } {
  const { width, mlpWidth, activation } = sizes;
  const rule = activationRule(activation);
  const { value, slope } = rule.valueAndSlope(graph, hidden);
  graph.output("d_proj_weight", graph.gemm(dy, value, { transA: true, alpha: 1 / rule.scale }), [width, mlpWidth]);
  graph.output("d_proj_bias", sumRows(graph, dy), [width]);
  const dHidden = graph.mul(graph.gemm(dy, p["proj_weight"]!), slope);
  const normed = layerNorm(graph, middle, p["norm2_weight"]!, p["norm2_bias"]!);
  graph.output("d_fc_weight", graph.gemm(dHidden, normed, { transA: true }), [mlpWidth, width]);
  graph.output("d_fc_bias", sumRows(graph, dHidden), [mlpWidth]);
  const norm = layerNormGradient(graph, middle, p["norm2_weight"]!, graph.gemm(dHidden, p["fc_weight"]!), width);
  graph.output("d_norm2_weight", norm.dWeight, [width]);
  graph.output("d_norm2_bias", norm.dBias, [width]);
  const dMiddle = graph.add(dy, norm.dx);
  graph.output("d_out_weight", graph.gemm(dMiddle, context, { transA: true }), [width, width]);
  graph.output("d_out_bias", sumRows(graph, dMiddle), [width]);
  return { dMiddle, dContext: graph.gemm(dMiddle, p["out_weight"]!) };
}

/** Parameters that both backward programs read; the other biases do not matter to derivatives. */
const BACKWARD_PARAMETERS = ["norm1_weight", "norm1_bias", "norm2_weight", "norm2_bias", "out_weight", "fc_weight", "proj_weight"];

/**
 * A residual block on all tokens, x `(batch · tokens, width)`:
 *
 *     x₁ = x + attention(LN₁(x))    y = x₁ + W_proj · act(W_fc · LN₂(x₁))
 *
 * q, k and v come from one product with `in_weight` (3 · width, width).
 */
export function residualBlock(sizes: BlockSizes): StageKind {
  const { width, heads, tokens, mlpWidth, causal, activation } = sizes;
  const parameters: ParameterSlot[] = [{ name: "in_weight", shape: [3 * width, width] }, { name: "in_bias", shape: [3 * width] }, ...commonSlots(sizes)];
  const rows = (columns: number) => (batch: number): number[] => [batch * tokens, columns];
  const perHead = (columns: number) => (batch: number): number[] => [batch, heads, tokens, columns];
  const saved: ActivationSlot[] = [
    ...["q", "k", "v"].map((name) => ({ name, shape: perHead(width / heads) })),
    { name: "weights", shape: perHead(tokens) },
    { name: "context", shape: rows(width) },
    { name: "middle", shape: rows(width) },
    { name: "hidden", shape: rows(mlpWidth) },
  ];
  return {
    key: ["block", width, heads, tokens, mlpWidth, causal, activation].join("/"),
    parameters,
    input: { name: "x", shape: rows(width) },
    output: { name: "y", shape: rows(width) },
    saved,
    passesGradient: true,

    forward(graph, save) {
      const x = graph.input("x", ["R", width]);
      const p = declare(graph, parameters, parameters.map(({ name }) => name));
      const normed = layerNorm(graph, x, p["norm1_weight"]!, p["norm1_bias"]!);
      const [q, k, v] = splitHeads(graph, linear(graph, normed, p["in_weight"]!, p["in_bias"]!), tokens, 3, sizes) as [Value, Value, Value];
      const weights = attentionWeights(graph, { q, k, v }, sizes);
      const context = joinHeads(graph, [graph.matmul(weights, v)], sizes);
      const { middle, hidden, y } = mlpForward(graph, x, context, p, sizes);
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
      const x = graph.input("x", ["R", width]);
      const [q, k, v] = ["q", "k", "v"].map((name) => graph.input(name, ["B", heads, tokens, width / heads])) as [Value, Value, Value];
      const weights = graph.input("weights", ["B", heads, tokens, tokens]);
      const context = graph.input("context", ["R", width]);
      const middle = graph.input("middle", ["R", width]);
      const hidden = graph.input("hidden", ["R", mlpWidth]);
      const p = declare(graph, parameters, [...BACKWARD_PARAMETERS, "in_weight"]);
      const { dMiddle, dContext } = mlpBackward(graph, dy, middle, hidden, context, p, sizes);
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
  };
}

/** The first token of each image, `(batch, width)`, of rows `(batch · tokens, width)`. */
function firstTokens(graph: Graph, rows: Value, { tokens, width }: BlockSizes): Value {
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
  return {
    key: ["class-token-block", width, heads, tokens, mlpWidth, activation].join("/"),
    parameters,
    input: { name: "x", shape: (batch) => [batch * tokens, width] },
    output: { name: "y", shape: one(width) },
    saved,
    passesGradient: true,

    forward(graph, save) {
      const x = graph.input("x", ["R", width]);
      const p = declare(graph, parameters, parameters.map(({ name }) => name));
      const normed = layerNorm(graph, x, p["norm1_weight"]!, p["norm1_bias"]!);
      const [q] = splitHeads(graph, linear(graph, firstTokens(graph, normed, sizes), p["query_weight"]!, p["query_bias"]!), 1, 1, sizes) as [Value];
      const [k, v] = splitHeads(graph, linear(graph, normed, p["keyvalue_weight"]!, p["keyvalue_bias"]!), tokens, 2, sizes) as [Value, Value];
      const weights = attentionWeights(graph, { q, k, v }, sizes);
      const context = joinHeads(graph, [graph.matmul(weights, v)], sizes);
      const { middle, hidden, y } = mlpForward(graph, firstTokens(graph, x, sizes), context, p, sizes);
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
      const x = graph.input("x", ["R", width]);
      const q = graph.input("q", ["B", heads, 1, headWidth]);
      const k = graph.input("k", ["B", heads, tokens, headWidth]);
      const v = graph.input("v", ["B", heads, tokens, headWidth]);
      const weights = graph.input("weights", ["B", heads, 1, tokens]);
      const context = graph.input("context", ["B", width]);
      const middle = graph.input("middle", ["B", width]);
      const hidden = graph.input("hidden", ["B", mlpWidth]);
      const p = declare(graph, parameters, [...BACKWARD_PARAMETERS, "query_weight", "keyvalue_weight"]);
      const { dMiddle, dContext } = mlpBackward(graph, dy, middle, hidden, context, p, sizes);
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
  };
}
