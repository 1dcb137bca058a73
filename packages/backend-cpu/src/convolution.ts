/**
 * Convolutions of images `(batch, channels, height, width)` with kernels `(out, in, size, size)`, as PyTorch stores them,
 * and a border of zeros that keeps the side of the image.
 */
import type { Graph, Value } from "./graph.js";

export interface ConvolutionSizes {
  /** Channels that are read. */
  readonly input: number;
  /** Channels that are written. */
  readonly output: number;
  readonly kernel: 1 | 3;
  /** Height and width of what is read. */
  readonly side: number;
  readonly stride: 1 | 2;
}

/** Height and width of what a convolution writes. */
export function outputSide({ side, stride }: ConvolutionSizes): number {
  return side / stride;
}

const window = ({ kernel, stride }: ConvolutionSizes) => ({
  pads: Array.from({ length: 4 }, () => (kernel - 1) / 2),
  strides: [stride, stride],
});

export function convolution(graph: Graph, x: Value, kernel: Value, sizes: ConvolutionSizes, bias?: Value): Value {
  return graph.node("Conv", bias === undefined ? [x, kernel] : [x, kernel, bias], window(sizes));
}

/** dL/dx from dL/dy of a convolution with stride 1: each position's dy · kernel, added where the kernel read. */
export function inputGradient(graph: Graph, dy: Value, kernel: Value, sizes: ConvolutionSizes): Value {
  const { input, output, side } = sizes;
  if (sizes.kernel > 1) return graph.node("ConvTranspose", [dy, kernel], window(sizes));
  const rows = graph.reshape(dy, -1, output, side * side);
  return graph.reshape(graph.matmul(graph.reshape(kernel, output, input), rows, { transA: true }), -1, input, side, side);
}

/**
 * What the kernel saw at each position, `(batch, in · size², positions)`. A convolution of each channel with kernels that
 * pick one element each computes it: with onnxruntime that takes half the time of cutting and joining slices.
 */
function seen(graph: Graph, x: Value, sizes: ConvolutionSizes): Value {
  const { input, kernel, side } = sizes;
  const positions = outputSide(sizes) ** 2;
  if (kernel === 1) return graph.reshape(x, -1, input, positions);
  const taps = kernel * kernel;
  const planes = graph.reshape(x, -1, 1, side, side);
  const picked = graph.node("Conv", [planes, graph.identity(taps, [taps, 1, kernel, kernel])], window(sizes));
  return graph.reshape(picked, -1, input * taps, positions);
}

/** dL/dkernel, `(out, in · size²)`: Σ dy · seenᵀ over images and positions. */
export function kernelGradient(graph: Graph, x: Value, dy: Value, sizes: ConvolutionSizes): Value {
  const { input, output, kernel } = sizes;
  const columns = input * kernel * kernel;
  const positions = outputSide(sizes) ** 2;
  const from = seen(graph, x, sizes);
  const to = graph.reshape(dy, -1, output, positions);
  // One product an image and a sum, or one product of all images: whichever writes less on the way.
  if (output * columns < positions * (output + columns)) {
    return graph.node("ReduceSum", [graph.matmul(to, from, { transB: true }), graph.integers(0)], { keepdims: 0 });
  }
  const byChannel = (value: Value, channels: number): Value => graph.reshape(graph.transpose(value, 1, 0, 2), channels, -1);
  return graph.gemm(byChannel(to, output), byChannel(from, columns), { transB: true });
}

/** Means over squares of 2×2. */
export function averagePool(graph: Graph, x: Value): Value {
  return graph.node("AveragePool", [x], { kernel_shape: [2, 2], strides: [2, 2] });
}

/** dL/dx of `averagePool`: a quarter of dy at each of the four. */
export function averagePoolGradient(graph: Graph, dy: Value): Value {
  const scales = graph.node("Concat", [graph.filled(1, [2]), graph.filled(2, [2])], { axis: 0 });
  const nearest = { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" };
  return graph.node("Resize", [graph.mul(dy, graph.scalar(0.25)), null, scales], nearest);
}
