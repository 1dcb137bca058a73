import type { Activation } from "@atlas-tv/core";
import type { Graph, Value } from "./graph.js";

const QUICK = 1.702;

/**
 * The non-linearity of the MLP. Its input is stored scaled by `scale`, z = scale · u, and its output likewise,
 * scale · act(u): the scale rides on the two matrix products beside it for nothing, and makes quick_gelu z · σ(z).
 */
export interface ActivationRule {
  readonly scale: number;
  /** scale · act(z / scale) */
  value(graph: Graph, z: Value): Value;
  /** scale · act(u) and act′(u), u = z / scale. */
  valueAndSlope(graph: Graph, z: Value): { value: Value; slope: Value };
}

/** quick_gelu: act(u) = u · σ(1.702 u). With z = 1.702 u, s = σ(z), a = z · s: act′(u) = s + a · (1 − s). */
const quickGelu: ActivationRule = {
  scale: QUICK,
  value: (graph, z) => graph.node("QuickGelu", [z], { alpha: { float: 1 } }, "com.microsoft"),
  valueAndSlope(graph, z) {
    const sigmoid = graph.node("Sigmoid", [z]);
    const value = graph.mul(z, sigmoid);
    const slope = graph.add(sigmoid, graph.mul(value, graph.sub(graph.scalar(1), sigmoid)));
    return { value, slope };
  },
};

/** gelu: act(u) = u · Φ(u), Φ(u) = (1 + erf(u / √2)) / 2; act′(u) = Φ(u) + u · exp(−u² / 2) / √(2π). */
const gelu: ActivationRule = {
  scale: 1,
  value: (graph, z) => graph.node("Gelu", [z], {}, "com.microsoft"),
  valueAndSlope(graph, z) {
    const erf = graph.node("Erf", [graph.mul(z, graph.scalar(Math.SQRT1_2))]);
    const below = graph.mul(graph.add(erf, graph.scalar(1)), graph.scalar(0.5));
    const bell = graph.node("Exp", [graph.mul(graph.mul(z, z), graph.scalar(-0.5))]);
    const density = graph.mul(bell, graph.scalar(1 / Math.sqrt(2 * Math.PI)));
    return { value: graph.mul(z, below), slope: graph.add(below, graph.mul(z, density)) };
  },
};

export function activationRule(activation: Activation): ActivationRule {
  return activation === "quick_gelu" ? quickGelu : gelu;
}
