import type { Graph, Value } from "./graph.js";

/** Sizes that attention programs are built for. */
export interface AttentionSizes {
  readonly width: number;
  readonly heads: number;
  readonly tokens: number;
  /** Whether a token sees only itself and those before it. */
  readonly causal: boolean;
}

/** Queries, keys and values by head, `(batch, heads, tokens, head width)`. */
export interface Heads {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
}

/** Added to the scores of tokens that must not be seen: their softmax is exactly 0 in float32. */
const MASKED = -1e9;

/** Rows `(batch · tokens, parts · width)` by head: `parts` tensors `(batch, heads, tokens, head width)`. */
export function splitHeads(graph: Graph, rows: Value, tokens: number, parts: number, { width, heads }: AttentionSizes): Value[] {
  const byToken = graph.reshape(rows, -1, tokens, parts * heads, width / heads);
  const byHead = graph.transpose(byToken, 0, 2, 1, 3);
  return parts === 1 ? [byHead] : graph.nodes("Split", [byHead], parts, { axis: 1 });
}

/** The inverse of `splitHeads`. */
export function joinHeads(graph: Graph, parts: readonly Value[], { width }: AttentionSizes): Value {
  const byHead = parts.length === 1 ? parts[0]! : graph.node("Concat", parts, { axis: 1 });
  return graph.reshape(graph.transpose(byHead, 0, 2, 1, 3), -1, parts.length * width);
}

/** p = softmax(q · kᵀ / √(head width) + mask), `(batch, heads, queries, tokens)`. */
export function attentionWeights(graph: Graph, { q, k }: Heads, { width, heads, tokens, causal }: AttentionSizes): Value {
  const scores = graph.matmul(q, k, { transB: true, alpha: (width / heads) ** -0.5 });
  return graph.node("Softmax", [causal ? graph.add(scores, graph.upperTriangle(MASKED, tokens)) : scores], { axis: -1 });
}

/**
 * The change of c = p · v to first order, from those of q, k and v (marked ′):
 *
 *     s′ = α · (q′ · kᵀ + q · k′ᵀ)    p′ = p ∘ (s′ − Σ_tokens p ∘ s′)    c′ = p′ · v + p · v′
 */
export function attentionTangent(graph: Graph, { q, k, v }: Heads, p: Value, t: Heads, { width, heads }: AttentionSizes): Value {
  const alpha = (width / heads) ** -0.5;
  const ts = graph.add(graph.matmul(t.q, k, { transB: true, alpha }), graph.matmul(q, t.k, { transB: true, alpha }));
  const along = graph.node("ReduceSum", [graph.mul(ts, p), graph.integers(-1)], { keepdims: 1 });
  const tp = graph.mul(p, graph.sub(ts, along));
  return graph.add(graph.matmul(tp, v), graph.matmul(p, t.v));
}

/**
 * The derivative of c = p · v, p = softmax(α · q · kᵀ), α = 1/√(head width), from dc:
 *
 *     dv = pᵀ · dc      dp = dc · vᵀ      ds = p ∘ (dp − Σ_tokens dp ∘ p)
 *     dq = α · ds · k   dk = α · dsᵀ · q
 *
 * Masked scores have p = 0, hence ds = 0.
 */
export function attentionGradient(
  graph: Graph,
  { q, k, v }: Heads,
  p: Value,
  dc: Value,
  { width, heads }: AttentionSizes,
): Heads {
  const alpha = (width / heads) ** -0.5;
  const dp = graph.matmul(dc, v, { transB: true });
  const along = graph.node("ReduceSum", [graph.mul(dp, p), graph.integers(-1)], { keepdims: 1 });
  const ds = graph.mul(p, graph.sub(dp, along));
  return {
    q: graph.matmul(ds, k, { alpha }),
    k: graph.matmul(ds, q, { transA: true, alpha }),
    v: graph.matmul(p, dc, { transA: true }),
  };
}
