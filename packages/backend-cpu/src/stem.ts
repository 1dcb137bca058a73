import { averagePool, averagePoolGradient } from "./convolution.js";
import type { Graph, Value } from "./graph.js";
import { normalisedConvolution } from "./normalised-convolution.js";
import { relu, throughRelu } from "./relu.js";
import type { ActivationSlot, StageKind } from "./stage.js";

export interface StemSizes {
  readonly imageSize: number;
  /** Channels that the stem writes; an even number. */
  readonly width: number;
}

/**
 * The first stage of a ResNet, x images `(batch, S, S, 3)`, y `(batch, width, S/4, S/4)`:
 *
 *     a₁ = ReLU(conv₁(x)), with stride 2    a₂ = ReLU(conv₂(a₁))    a₃ = ReLU(conv₃(a₂))    y = mean₂ₓ₂(a₃)
 *
 * Convolutions include BatchNorm (`normalisedConvolution`).
 */
export function stem({ imageSize, width }: StemSizes): StageKind {
  const half = width / 2;
  const side = imageSize / 2;
  const convolutions = [
    normalisedConvolution("conv1", { input: 3, output: half, kernel: 3, side: imageSize, stride: 2 }),
    normalisedConvolution("conv2", { input: half, output: half, kernel: 3, side, stride: 1 }),
    normalisedConvolution("conv3", { input: half, output: width, kernel: 3, side, stride: 1 }),
  ];
  const saved: ActivationSlot[] = [half, half, width].map((channels, i) => {
    return { name: `a${i + 1}`, shape: (batch) => [batch, channels, side, side] };
  });
  const channelsFirst = (graph: Graph): Value => {
    return graph.transpose(graph.input("x", ["B", imageSize, imageSize, 3]), 0, 3, 1, 2);
  };
  const activations = (graph: Graph): Value[] => saved.map(({ name, shape }) => graph.input(name, ["B", ...shape(1).slice(1)]));
  const positions = side * side;
  return {
    key: ["stem", imageSize, width].join("/"),
    parameters: convolutions.flatMap(({ parameters }) => parameters),
    constants: convolutions.flatMap(({ constants }) => constants),
    input: { name: "x", shape: (batch) => [batch, imageSize, imageSize, 3] },
    output: { name: "y", shape: (batch) => [batch, width, side / 2, side / 2] },
    saved,
    workspace: (batch) => batch * positions * (18 * half + 5 * width),
    passesGradient: false,

    forward(graph, save) {
      let x = channelsFirst(graph);
      convolutions.forEach((convolution, i) => {
        x = relu(graph, convolution.forward(graph, x));
        if (save) graph.output(saved[i]!.name, x, ["B", ...saved[i]!.shape(1).slice(1)]);
      });
      graph.output("y", averagePool(graph, x), ["B", width, side / 2, side / 2]);
    },

    backward(graph) {
      const seen = [channelsFirst(graph), ...activations(graph)];
      let dx = averagePoolGradient(graph, graph.input("d_y", ["B", width, side / 2, side / 2]));
      for (let i = convolutions.length - 1; i >= 0; i--) {
        const gradient = convolutions[i]!.backward(graph, seen[i]!, throughRelu(graph, dx, seen[i + 1]!));
        if (i > 0) dx = gradient();
      }
    },

    tangent(graph) {
      const seen = [channelsFirst(graph), ...activations(graph)];
      let tx: Value | null = null;
      convolutions.forEach((convolution, i) => { tx = throughRelu(graph, convolution.tangent(graph, seen[i]!, tx), seen[i + 1]!); });
      graph.output("t_y", averagePool(graph, tx!), ["B", width, side / 2, side / 2]);
    },
  };
}
