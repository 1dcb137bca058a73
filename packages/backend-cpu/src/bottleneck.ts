import { averagePool, averagePoolGradient } from "./convolution.js";
import type { Graph, Value } from "./graph.js";
import { normalisedConvolution } from "./normalised-convolution.js";
import { relu, throughRelu } from "./relu.js";
import type { ActivationSlot, StageKind } from "./stage.js";

export interface BottleneckSizes {
  /** Channels that are read. */
  readonly input: number;
  /** Channels between the convolutions; four times as many are written. */
  readonly inner: number;
  /** Height and width of what is read. */
  readonly side: number;
  readonly stride: 1 | 2;
  /** Whether the shortcut has a convolution of its own, as where the shape changes. */
  readonly projected: boolean;
}

/** Channels that a bottleneck writes, as a multiple of those inside it. */
export const EXPANSION = 4;

/**
 * A bottleneck, x `(batch, input, side, side)`, y `(batch, 4 · inner, side / stride, side / stride)`. P is the mean over
 * squares of 2×2 with stride 2, else nothing; the shortcut is x itself unless projected:
 *
 *     a₁ = ReLU(conv₁(x))    a₂ = ReLU(conv₂(a₁))    y = ReLU(conv₃(P(a₂)) + conv_d(P(x)))
 *
 * conv₂ has a kernel of 3×3, the others of 1×1; all include BatchNorm (`normalisedConvolution`).
 */
export function bottleneck({ input, inner, side, stride, projected }: BottleneckSizes): StageKind {
  const output = EXPANSION * inner;
  const outer = side / stride;
  const conv1 = normalisedConvolution("conv1", { input, output: inner, kernel: 1, side, stride: 1 });
  const conv2 = normalisedConvolution("conv2", { input: inner, output: inner, kernel: 3, side, stride: 1 });
  const conv3 = normalisedConvolution("conv3", { input: inner, output, kernel: 1, side: outer, stride: 1 });
  const shortcut = projected ? normalisedConvolution("shortcut", { input, output, kernel: 1, side: outer, stride: 1 }) : null;
  const convolutions = [conv1, conv2, conv3, ...(shortcut === null ? [] : [shortcut])];

  const pool = (graph: Graph, x: Value): Value => (stride === 2 ? averagePool(graph, x) : x);
  const poolGradient = (graph: Graph, dy: Value): Value => (stride === 2 ? averagePoolGradient(graph, dy) : dy);
  const within = ["B", inner, side, side];
  const saved: ActivationSlot[] = ["a1", "a2"].map((name) => ({ name, shape: (batch) => [batch, inner, side, side] }));
  const activations = (graph: Graph) => ({
    x: graph.input("x", ["B", input, side, side]),
    a1: graph.input("a1", within),
    a2: graph.input("a2", within),
  });
  return {
    key: ["bottleneck", input, inner, side, stride, projected].join("/"),
    parameters: convolutions.flatMap(({ parameters }) => parameters),
    constants: convolutions.flatMap(({ constants }) => constants),
    input: { name: "x", shape: (batch) => [batch, input, side, side] },
    output: { name: "y", shape: (batch) => [batch, output, outer, outer] },
    saved,
    workspace: (batch) => batch * side * side * (9 * inner + 2 * inner + 3 * input),
    passesGradient: true,

    forward(graph, save) {
      const x = graph.input("x", ["B", input, side, side]);
      const a1 = relu(graph, conv1.forward(graph, x));
      const a2 = relu(graph, conv2.forward(graph, a1));
      const through = shortcut === null ? x : shortcut.forward(graph, pool(graph, x));
      const y = relu(graph, graph.add(conv3.forward(graph, pool(graph, a2)), through));
      graph.output("y", y, ["B", output, outer, outer]);
      if (!save) return;
      graph.output("a1", a1, within);
      graph.output("a2", a2, within);
    },

    /** d_y is dL/d(what y is the ReLU of): it goes to conv₃ and to the shortcut as it is, and through x's own ReLU. */
    backward(graph) {
      const { x, a1, a2 } = activations(graph);
      const dy = graph.input("d_y", ["B", output, outer, outer]);
      const dThrough = shortcut === null ? dy : poolGradient(graph, shortcut.backward(graph, pool(graph, x), dy)());
      const da2 = poolGradient(graph, conv3.backward(graph, pool(graph, a2), dy)());
      const da1 = conv2.backward(graph, a1, throughRelu(graph, da2, a2))();
      const dInner = conv1.backward(graph, x, throughRelu(graph, da1, a1))();
      graph.output("d_x", throughRelu(graph, graph.add(dInner, dThrough), x), ["B", input, side, side]);
    },

    tangent(graph) {
      const { x, a1, a2 } = activations(graph);
      const tx = throughRelu(graph, graph.input("t_x", ["B", input, side, side]), x);
      const t1 = throughRelu(graph, conv1.tangent(graph, x, tx), a1);
      const t2 = throughRelu(graph, conv2.tangent(graph, a1, t1), a2);
      const through = shortcut === null ? tx : shortcut.tangent(graph, pool(graph, x), pool(graph, tx));
      const ty = graph.add(conv3.tangent(graph, pool(graph, a2), pool(graph, t2)), through);
      graph.output("t_y", ty, ["B", output, outer, outer]);
    },
  };
}
