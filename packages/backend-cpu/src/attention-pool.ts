import type { Graph, Value } from "./graph.js";
import { sumRows } from "./layer-norm.js";
import { linear, linearTangent } from "./linear.js";
import { throughRelu } from "./relu.js";
import { declareParameters, type ActivationSlot, type ParameterSlot, type StageKind } from "./stage.js";

export interface AttentionPoolSizes {
  readonly channels: number;
  readonly heads: number;
  /** Height and width of what is read. */
  readonly side: number;
  readonly outputWidth: number;
}

/**
 * The last stage of a ResNet: the mean of all positions asks itself and the positions. x `(batch, channels, side, side)`,
 * y `(batch, outputWidth)`. With T = side² + 1 rows t of an image, [mean | positions] + places, and for each head h
 *
 *     q = W_q t₀ + b_q    u = W_kᵀ q    p = softmax(α t · u)    m = Σ p t    c = W_v m + b_v    y = W_c c + b_c
 *
 * with α = 1/√(head width). As one row asks, keys and values of the other rows need not be computed: q · (W_k t) is
 * u · t, and Σ p (W_v t) is W_v m. The bias of the keys moves all scores of a head alike, which softmax does not see.
 */
export function attentionPool({ channels, heads, side, outputWidth }: AttentionPoolSizes): StageKind {
  const positions = side * side;
  const tokens = positions + 1;
  const headWidth = channels / heads;
  const alpha = headWidth ** -0.5;
  const square = (part: string): ParameterSlot[] => [
    { name: `${part}_weight`, shape: [channels, channels] },
    { name: `${part}_bias`, shape: [channels] },
  ];
  const parameters: ParameterSlot[] = [
    { name: "places", shape: [tokens, channels] },
    ...["q", "k", "v"].flatMap(square),
    { name: "c_weight", shape: [outputWidth, channels] },
    { name: "c_bias", shape: [outputWidth] },
  ];
  const weightsOnly = ["places", "q_weight", "k_weight", "v_weight", "c_weight"];
  const saved: ActivationSlot[] = [
    { name: "q", shape: (batch) => [heads, batch, headWidth] },
    { name: "u", shape: (batch) => [heads, batch, channels] },
    { name: "p", shape: (batch) => [batch, heads, tokens] },
    { name: "m", shape: (batch) => [heads, batch, channels] },
    { name: "c", shape: (batch) => [batch, channels] },
  ];
  const image = ["B", channels, side, side];
  const activations = (graph: Graph) => ({
    x: graph.input("x", image),
    q: graph.input("q", [heads, "B", headWidth]),
    u: graph.input("u", [heads, "B", channels]),
    p: graph.input("p", ["B", heads, tokens]),
    m: graph.input("m", [heads, "B", channels]),
    c: graph.input("c", ["B", channels]),
  });

  /** [mean | positions], `(batch, T, channels)`. */
  function rowsOf(graph: Graph, x: Value): Value {
    const columns = graph.reshape(x, -1, channels, positions);
    const mean = graph.node("ReduceMean", [columns], { axes: [2], keepdims: 1 });
    return graph.transpose(graph.node("Concat", [mean, columns], { axis: 2 }), 0, 2, 1);
  }

  const firstOf = (graph: Graph, rows: Value): Value => graph.reshape(graph.slice(rows, 1, 0, 1), -1, channels);
  /** From `(batch, heads, n)` to `(heads, batch, n)` and back. */
  const swapped = (graph: Graph, x: Value): Value => graph.transpose(x, 1, 0, 2);
  const byHead = (graph: Graph, rows: Value): Value => swapped(graph, graph.reshape(rows, -1, heads, headWidth));
  const joined = (graph: Graph, x: Value): Value => graph.reshape(swapped(graph, x), -1, channels);
  /** A weight `(channels, channels)` as `(heads, head width, channels)`. */
  const ofHeads = (graph: Graph, weight: Value): Value => graph.reshape(weight, heads, headWidth, channels);
  /** p ∘ (d − Σ d ∘ p), the derivative of softmax, which is its own adjoint. */
  function softmaxDerivative(graph: Graph, p: Value, d: Value): Value {
    const along = graph.node("ReduceSum", [graph.mul(d, p), graph.integers(-1)], { keepdims: 1 });
    return graph.mul(p, graph.sub(d, along));
  }

  return {
    key: ["attention-pool", channels, heads, side, outputWidth].join("/"),
    parameters,
    input: { name: "x", shape: (batch) => [batch, channels, side, side] },
    output: { name: "y", shape: (batch) => [batch, outputWidth] },
    saved,
    workspace: (batch) => 6 * batch * channels * (tokens + heads),
    passesGradient: true,

    forward(graph, save) {
      const p = declareParameters(graph, parameters);
      const rows = graph.add(rowsOf(graph, graph.input("x", image)), p["places"]!);
      const q = byHead(graph, linear(graph, firstOf(graph, rows), p["q_weight"]!, p["q_bias"]!));
      const u = graph.matmul(q, ofHeads(graph, p["k_weight"]!));
      const scores = graph.matmul(swapped(graph, u), rows, { transB: true, alpha });
      const weights = graph.node("Softmax", [scores], { axis: -1 });
      const m = swapped(graph, graph.matmul(weights, rows));
      const mixed = joined(graph, graph.matmul(m, ofHeads(graph, p["v_weight"]!), { transB: true }));
      const c = graph.add(mixed, p["v_bias"]!);
      graph.output("y", linear(graph, c, p["c_weight"]!, p["c_bias"]!), ["B", outputWidth]);
      if (!save) return;
      graph.output("q", q, [heads, "B", headWidth]);
      graph.output("u", u, [heads, "B", channels]);
      graph.output("p", weights, ["B", heads, tokens]);
      graph.output("m", m, [heads, "B", channels]);
      graph.output("c", c, ["B", channels]);
    },

    /**
     * For each head, t the rows of an image, and δ₀ what is added to row 0 alone:
     *
     *     dc = dy · W_c      dW_v = dcᵀ · m    dm = dc · W_v     ds = p ∘ (dm · tᵀ − Σ_rows p ∘ (dm · tᵀ))
     *     du = α ds · t      dW_k = qᵀ · du    dq = du · W_kᵀ    dW_q = dqᵀ · t₀
     *     dt = α dsᵀ · u + pᵀ · dm + δ₀ dq · W_q    dplaces = Σ_images dt    dpositions = dt + dt₀ / side²
     *
     * Biases get the sums over images, those of the keys 0.
     */
    backward(graph) {
      const { x, q, u, p, m, c } = activations(graph);
      const dy = graph.input("d_y", ["B", outputWidth]);
      const w = declareParameters(graph, parameters, [...weightsOnly, "k_bias"]);
      const rows = graph.add(rowsOf(graph, x), w["places"]!);
      graph.output("d_c_weight", graph.gemm(dy, c, { transA: true }), [outputWidth, channels]);
      graph.output("d_c_bias", sumRows(graph, dy), [outputWidth]);
      const dc = graph.gemm(dy, w["c_weight"]!);
      graph.output("d_v_bias", sumRows(graph, dc), [channels]);
      const dcHeads = byHead(graph, dc);
      const square = (product: Value): Value => graph.reshape(product, channels, channels);
      graph.output("d_v_weight", square(graph.matmul(dcHeads, m, { transA: true })), [channels, channels]);
      const dm = swapped(graph, graph.matmul(dcHeads, ofHeads(graph, w["v_weight"]!)));
      const ds = softmaxDerivative(graph, p, graph.matmul(dm, rows, { transB: true }));
      const du = swapped(graph, graph.matmul(ds, rows, { alpha }));
      graph.output("d_k_weight", square(graph.matmul(q, du, { transA: true })), [channels, channels]);
      graph.output("d_k_bias", graph.mul(w["k_bias"]!, graph.scalar(0)), [channels]);
      const dq = joined(graph, graph.matmul(du, ofHeads(graph, w["k_weight"]!), { transB: true }));
      graph.output("d_q_weight", graph.gemm(dq, firstOf(graph, rows), { transA: true }), [channels, channels]);
      graph.output("d_q_bias", sumRows(graph, dq), [channels]);

      const asked = graph.add(graph.matmul(ds, swapped(graph, u), { transA: true, alpha }), graph.matmul(p, dm, { transA: true }));
      const dFirst = graph.reshape(graph.gemm(dq, w["q_weight"]!), -1, 1, channels);
      const asking = graph.node("Pad", [dFirst, graph.integers(0, 0, 0, 0, positions, 0)]);
      const dRows = graph.add(asked, asking);
      graph.output("d_places", graph.node("ReduceSum", [dRows, graph.integers(0)], { keepdims: 0 }), [tokens, channels]);
      const share = graph.mul(graph.slice(dRows, 1, 0, 1), graph.scalar(1 / positions));
      const dPositions = graph.transpose(graph.add(graph.slice(dRows, 1, 1, tokens), share), 0, 2, 1);
      graph.output("d_x", throughRelu(graph, graph.reshape(dPositions, -1, channels, side, side), x), image);
    },

    /** The change of each line of `attentionPool` to first order, in their order. */
    tangent(graph) {
      const { x, q, u, p, m, c } = activations(graph);
      const w = declareParameters(graph, parameters, weightsOnly);
      const t = declareParameters(graph, parameters, [...weightsOnly, "q_bias", "v_bias", "c_bias"], "t_");
      const rows = graph.add(rowsOf(graph, x), w["places"]!);
      const tRows = graph.add(rowsOf(graph, throughRelu(graph, graph.input("t_x", image), x)), t["places"]!);
      const [first, tFirst] = [firstOf(graph, rows), firstOf(graph, tRows)];
      const tq = byHead(graph, linearTangent(graph, first, w["q_weight"]!, tFirst, t["q_weight"]!, t["q_bias"]!));
      const tu = graph.add(graph.matmul(tq, ofHeads(graph, w["k_weight"]!)), graph.matmul(q, ofHeads(graph, t["k_weight"]!)));
      const tScores = graph.add(
        graph.matmul(swapped(graph, tu), rows, { transB: true, alpha }),
        graph.matmul(swapped(graph, u), tRows, { transB: true, alpha }),
      );
      const tWeights = softmaxDerivative(graph, p, tScores);
      const tm = swapped(graph, graph.add(graph.matmul(tWeights, rows), graph.matmul(p, tRows)));
      const tMixed = joined(graph, graph.add(
        graph.matmul(tm, ofHeads(graph, w["v_weight"]!), { transB: true }),
        graph.matmul(m, ofHeads(graph, t["v_weight"]!), { transB: true }),
      ));
      const tc = graph.add(tMixed, t["v_bias"]!);
      graph.output("t_y", linearTangent(graph, c, w["c_weight"]!, tc, t["c_weight"]!, t["c_bias"]!), ["B", outputWidth]);
    },
  };
}
