import { sizeOf } from "./element-type.js";
import { buffersOf, type BlockSpec, type EncoderSpec, type ModifiedResNetSpec } from "./encoder-spec.js";
import type { Random } from "./random.js";
import type { HostTensor, NamedHostTensors } from "./state-dict.js";

type TransformerSpec = Exclude<EncoderSpec, { family: "resnet" }>;

/** Standard deviations of CLIP's initialisation (Radford et al. 2021), by where a weight sits. */
function transformerDeviation(spec: TransformerSpec, { kind, shape }: BlockSpec): number {
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

/**
 * Of a ResNet: convolutions keep the scale of their inputs through a ReLU (He et al. 2015), as BatchNorm in evaluation
 * mode will not; attention pooling as in CLIP.
 */
function resNetDeviation({ blocks }: ModifiedResNetSpec, { kind, shape }: BlockSpec): number {
  if (kind === "convolution") return (2 / sizeOf(shape.slice(1))) ** 0.5;
  const [, pooled = 1] = blocks.find((block) => block.kind === "positional_embedding")?.shape ?? [];
  return pooled ** -0.5;
}

/** The last BatchNorm of a bottleneck: it starts at 0, so that each bottleneck starts as its shortcut (as in CLIP). */
function closesBottleneck({ name, layer }: BlockSpec): boolean {
  return layer !== null && name.endsWith(".bn3.weight");
}

function values(spec: EncoderSpec, block: BlockSpec, random: Random): Float32Array {
  const data = new Float32Array(sizeOf(block.shape));
  if (block.role === "bias" || block.kind === "leftover") return data;
  if (block.kind === "norm") return data.fill(spec.family === "resnet" && closesBottleneck(block) ? 0 : 1);
  const std = spec.family === "resnet" ? resNetDeviation(spec, block) : transformerDeviation(spec, block);
  return data.map(() => std * random.normal());
}

/**
 * Parameters to pre-train from: normal weights with CLIP's standard deviations, norms 1 and 0, biases and leftover
 * blocks 0; then the buffers, BatchNorm's means 0 and variances 1. Each block draws from a fork of `random` named after
 * it.
 */
export function randomParameters(spec: EncoderSpec, random: Random): NamedHostTensors {
  const host = (shape: readonly number[], data: Float32Array): HostTensor => ({ dtype: "F32", shape, data });
  return new Map([
    ...spec.blocks.map((block): [string, HostTensor] => {
      return [block.name, host(block.shape, values(spec, block, random.fork(block.name)))];
    }),
    ...buffersOf(spec).map(({ name, shape }): [string, HostTensor] => {
      return [name, host(shape, new Float32Array(sizeOf(shape)).fill(name.endsWith(".running_var") ? 1 : 0))];
    }),
  ]);
}
