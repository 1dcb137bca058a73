import { convolution, inputGradient, kernelGradient, type ConvolutionSizes } from "./convolution.js";
import type { Graph, Value } from "./graph.js";
import { declareParameters, type ParameterSlot } from "./stage.js";

/** Of PyTorch's BatchNorm, with which CLIP was trained. */
const EPSILON = 1e-5;

/**
 * A convolution without bias and a BatchNorm in evaluation mode after it, y = γ · r · (W * x − μ) + β with
 * r = 1 / √(σ² + ε): as the statistics μ and σ² are constants, one convolution with a folded kernel and bias,
 *
 *     y = K * x + b    K = γ r · W (for each channel of y)    b = β − μ γ r
 */
export interface NormalisedConvolution {
  readonly parameters: readonly ParameterSlot[];
  /** The running statistics. */
  readonly constants: readonly ParameterSlot[];
  forward(graph: Graph, x: Value): Value;
  /**
   * With G = dL/dK, the gradients become outputs, of which none needs y or W * x:
   *
   *     dW = γ r · G    dβ = Σ dy    dγ = r · (Σ_kernel G ∘ W − μ dβ)
   *
   * @returns the gradient of x, to be asked for where it is needed: dx = Kᵀ * dy.
   */
  backward(graph: Graph, x: Value, dy: Value): () => Value;
  /**
   * The change of y to first order, from those of x (null: none) and of the parameters (marked ′):
   *
   *     y′ = K * x′ + K′ * x + b′    K′ = r · (γ W′ + γ′ W)    b′ = β′ − μ γ′ r
   */
  tangent(graph: Graph, x: Value, tx: Value | null): Value;
}

/** @param name prefix of the slots: `_kernel` (W), `_weight` (γ), `_bias` (β) and the constants `_mean`, `_variance`. */
export function normalisedConvolution(name: string, sizes: ConvolutionSizes): NormalisedConvolution {
  const { input, output, kernel: size } = sizes;
  const slot = (part: string, ...shape: number[]): ParameterSlot => ({ name: `${name}_${part}`, shape });
  const parameters = [slot("kernel", output, input, size, size), slot("weight", output), slot("bias", output)];
  const constants = [slot("mean", output), slot("variance", output)];

  function declared(graph: Graph, parts: readonly string[], prefix = ""): Record<string, Value> {
    const values = declareParameters(graph, [...parameters, ...constants], parts.map((part) => `${name}_${part}`), prefix);
    return Object.fromEntries(parts.map((part) => [part, values[`${name}_${part}`]!]));
  }

  const perKernel = (graph: Graph, channels: Value): Value => graph.reshape(channels, output, 1, 1, 1);

  function inverseDeviation(graph: Graph, variance: Value): Value {
    return graph.node("Reciprocal", [graph.node("Sqrt", [graph.add(variance, graph.scalar(EPSILON))])]);
  }

  return {
    parameters,
    constants,

    forward(graph, x) {
      const { kernel, weight, bias, mean, variance } = declared(graph, ["kernel", "weight", "bias", "mean", "variance"]);
      const factor = graph.mul(weight!, inverseDeviation(graph, variance!));
      const folded = graph.mul(kernel!, perKernel(graph, factor));
      return convolution(graph, x, folded, sizes, graph.sub(bias!, graph.mul(mean!, factor)));
    },

    backward(graph, x, dy) {
      const { kernel, weight, mean, variance } = declared(graph, ["kernel", "weight", "mean", "variance"]);
      const inverse = inverseDeviation(graph, variance!);
      const factor = graph.mul(weight!, inverse);
      const gradient = graph.reshape(kernelGradient(graph, x, dy, sizes), output, input, size, size);
      graph.output(`d_${name}_kernel`, graph.mul(gradient, perKernel(graph, factor)), [output, input, size, size]);
      const dBias = graph.node("ReduceSum", [dy, graph.integers(0, 2, 3)], { keepdims: 0 });
      graph.output(`d_${name}_bias`, dBias, [output]);
      const along = graph.node("ReduceSum", [graph.mul(gradient, kernel!), graph.integers(1, 2, 3)], { keepdims: 0 });
      graph.output(`d_${name}_weight`, graph.mul(inverse, graph.sub(along, graph.mul(mean!, dBias))), [output]);
      return () => inputGradient(graph, dy, graph.mul(kernel!, perKernel(graph, factor)), sizes);
    },

    tangent(graph, x, tx) {
      const { kernel, weight, mean, variance } = declared(graph, ["kernel", "weight", "mean", "variance"]);
      const t = declared(graph, ["kernel", "weight", "bias"], "t_");
      const inverse = inverseDeviation(graph, variance!);
      const factor = graph.mul(weight!, inverse);
      const tFactor = graph.mul(t["weight"]!, inverse);
      const tKernel = graph.add(
        graph.mul(t["kernel"]!, perKernel(graph, factor)),
        graph.mul(kernel!, perKernel(graph, tFactor)),
      );
      const moving = convolution(graph, x, tKernel, sizes, graph.sub(t["bias"]!, graph.mul(mean!, tFactor)));
      if (tx === null) return moving;
      return graph.add(convolution(graph, tx, graph.mul(kernel!, perKernel(graph, factor)), sizes), moving);
    },
  };
}
