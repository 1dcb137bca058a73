/** What follows attention in a residual block: output projection, residual, LayerNorm, MLP, residual. */
import { activationRule } from "./activation.js";
import type { BlockSizes, Inputs } from "./block-sizes.js";
import type { Graph, Value } from "./graph.js";
import { layerNorm, layerNormGradient, layerNormTangent, sumRows } from "./layer-norm.js";
import { linear, linearTangent } from "./linear.js";

/** x₁ = x + c · W_oᵀ + b_o;  z = s · (LN₂(x₁) · W_fcᵀ + b_fc);  y = x₁ + act(z / s) · W_projᵀ + b_proj */
export function tailForward(
  graph: Graph,
  x: Value,
  context: Value,
  p: Inputs,
  { activation }: BlockSizes,
): { middle: Value; hidden: Value; y: Value } {
  const rule = activationRule(activation);
  const middle = graph.add(x, linear(graph, context, p["out_weight"]!, p["out_bias"]!));
  const normed = layerNorm(graph, middle, p["norm2_weight"]!, p["norm2_bias"]!);
  const hidden = graph.gemm(normed, p["fc_weight"]!, { transB: true, c: p["fc_bias"]!, alpha: rule.scale, beta: rule.scale });
  const out = graph.gemm(rule.value(graph, hidden), p["proj_weight"]!, { transB: true, c: p["proj_bias"]!, alpha: 1 / rule.scale });
  return { middle, hidden, y: graph.add(middle, out) };
}

/**
 * The derivative of `tailForward`, a = act(u), h = LN₂(x₁):
 *
 *     dW_proj = dyᵀ · a    db_proj = Σ dy    du = (dy · W_proj) ∘ act′(u)
 *     dW_fc = duᵀ · h      db_fc = Σ du      dx₁ = dy + LN₂′(du · W_fc)
 *     dW_o = dx₁ᵀ · c      db_o = Σ dx₁      dc = dx₁ · W_o
 *
 * @returns dx₁ (which is also the residual part of dx) and dc; the parameters' gradients become outputs.
 */
export function tailBackward(
  graph: Graph,
  dy: Value,
  middle: Value,
  hidden: Value,
  context: Value,
  p: Inputs,
  sizes: BlockSizes,
): { dMiddle: Value; dContext: Value } {
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

/**
 * The change of `tailForward` to first order: x₁′ from x′ and c′, then
 * y′ = x₁′ + (act(u) · W_projᵀ + b_proj)′ with act(u)′ = act′(u) ∘ u′.
 */
export function tailTangent(
  graph: Graph,
  tx: Value,
  context: Value,
  tContext: Value,
  middle: Value,
  hidden: Value,
  p: Inputs,
  t: Inputs,
  { width, activation }: BlockSizes,
): Value {
  const rule = activationRule(activation);
  const tMiddle = graph.add(tx, linearTangent(graph, context, p["out_weight"]!, tContext, t["out_weight"]!, t["out_bias"]!));
  const normed = layerNorm(graph, middle, p["norm2_weight"]!, p["norm2_bias"]!);
  const tNormed = layerNormTangent(graph, middle, p["norm2_weight"]!, tMiddle, t["norm2_weight"]!, t["norm2_bias"]!, width);
  const tBias = graph.mul(t["fc_bias"]!, graph.scalar(rule.scale));
  const tHidden = linearTangent(graph, normed, p["fc_weight"]!, tNormed, t["fc_weight"]!, tBias, rule.scale);
  const { value, slope } = rule.valueAndSlope(graph, hidden);
  const tValue = graph.mul(slope, tHidden);
  const tOut = linearTangent(graph, value, p["proj_weight"]!, tValue, t["proj_weight"]!, t["proj_bias"]!, 1 / rule.scale);
  return graph.add(tMiddle, tOut);
}
