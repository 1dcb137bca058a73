import { zerosLike, type NamedArrays } from "./composition.js";

/** Settings of AdamW; defaults are those of PyTorch but for the decay. */
export interface AdamWOptions {
  /** Decoupled decay, multiplied by the learning rate of the step. Default 0.1, the paper's. */
  readonly weightDecay?: number;
  /** Decay of the mean of gradients. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients. Default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the second moment. Default 1e-8. */
  readonly epsilon?: number;
}

/** Everything the optimiser remembers between steps. */
export interface AdamWState {
  /** Steps taken. */
  readonly count: number;
  readonly firstMoments: NamedArrays;
  readonly secondMoments: NamedArrays;
}

/** State before the first step for parameters like `parameters`. */
export function initAdamW(parameters: NamedArrays): AdamWState {
  return { count: 0, firstMoments: zerosLike(parameters), secondMoments: zerosLike(parameters) };
}

/**
 * One AdamW step (Loshchilov & Hutter 2019), in place in `parameters` and the moments of `state`.
 * Arithmetic in float64, stored as float32: the same bits on every backend.
 * @param learningRate of this step, schedule included; a function gives each tensor its own.
 * @returns the state with its count advanced; the moment arrays are those of `state`.
 */
export function stepAdamW(
  parameters: NamedArrays,
  gradients: NamedArrays,
  state: AdamWState,
  learningRate: number | ((name: string) => number),
  options: AdamWOptions | ((name: string) => AdamWOptions) = {},
): AdamWState {
  const count = state.count + 1;
  for (const [name, values] of Object.entries(parameters)) {
    const gradient = gradients[name];
    if (gradient === undefined) continue;
    const { weightDecay = 0.1, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = typeof options === "function" ? options(name) : options;
    const rate = typeof learningRate === "function" ? learningRate(name) : learningRate;
    const first = state.firstMoments[name]!;
    const second = state.secondMoments[name]!;
    const keep = 1 - rate * weightDecay;
    const stepSize = rate / (1 - beta1 ** count);
    const secondScale = 1 / Math.sqrt(1 - beta2 ** count);
    for (let i = 0; i < values.length; i++) {
      const g = gradient[i]!;
      const m = (first[i] = beta1 * first[i]! + (1 - beta1) * g);
      const v = (second[i] = beta2 * second[i]! + (1 - beta2) * g * g);
      values[i] = values[i]! * keep - (stepSize * m) / (Math.sqrt(v) * secondScale + epsilon);
    }
  }
  return { count, firstMoments: state.firstMoments, secondMoments: state.secondMoments };
}
