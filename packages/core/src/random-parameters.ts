import { sizeOf } from "./element-type.js";
import type { BlockSpec, EncoderSpec } from "./encoder-spec.js";
import { InputError } from "./errors.js";
import type { Random } from "./random.js";
import type { HostTensor, NamedHostTensors } from "./state-dict.js";

type TransformerSpec = Exclude<EncoderSpec, { family: "resnet" }>;

/** Standard deviations of CLIP's initialisation (Radford et al. 2021), by where a weight sits. */
function deviation(spec: TransformerSpec, { kind, shape }: BlockSpec): number {
  const { width, layers } = spec;
  switch (kind) {
    case "token_embedding": return 0.02;
    case "positional_embedding": return spec.family === "text" ? 0.01 : width ** -0.5;
    // As a convolution starts in PyTorch: variance 1 / (3 · inputs).
    case "patch_embedding": return (3 * sizeOf(shape.slice(1))) ** -0.5;
    case "attention_output": case "mlp_output": return width ** -0.5 * (2 * layers) ** -0.5;
    case "mlp_input": return (2 * width) ** -0.5;
    default: return width ** -0.5;
  }
}

function values(spec: TransformerSpec, block: BlockSpec, random: Random): Float32Array {
  const count = sizeOf(block.shape);
  if (block.kind === "norm") return new Float32Array(count).fill(block.role === "weight" ? 1 : 0);
  if (block.role === "bias" || block.kind === "leftover") return new Float32Array(count);
  const std = deviation(spec, block);
  return Float32Array.from({ length: count }, () => std * random.normal());
}

/**
 * Parameters to pre-train from: normal weights with CLIP's standard deviations, LayerNorm 1 and 0, biases and
 * leftover blocks 0. Each block draws from a fork of `random` named after it.
 */
export function randomParameters(spec: EncoderSpec, random: Random): NamedHostTensors {
  if (spec.family === "resnet") {
    throw new InputError({ where: "randomParameters", got: "a resnet", expected: "a vit or a text encoder" });
  }
  return new Map(spec.blocks.map((block): [string, HostTensor] => {
    return [block.name, { dtype: "F32", shape: block.shape, data: values(spec, block, random.fork(block.name)) }];
  }));
}
