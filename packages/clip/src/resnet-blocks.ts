import type { BlockSpec, BufferSpec, ModifiedResNetSpec } from "@atlas-tv/core";
import { bias, norm, weight } from "./transformer-blocks.js";

/** Image pixels along the side of one last activation of a ResNet: two strides in the stem, one in each of three stages. */
export const RESNET_STRIDE = 32;

/** Channels of the last activations of a ResNet, as a multiple of its width: three doublings and the expansion of 4. */
export const RESNET_EXPANSION = 32;

/** Channels that a bottleneck gives, as a multiple of those inside it. */
const EXPANSION = 4;

type Layers = ModifiedResNetSpec["layers"];

interface Parts {
  readonly blocks: readonly BlockSpec[];
  readonly buffers: readonly BufferSpec[];
}

/** A convolution without bias, its kernel `(out, in, side, side)`. */
function convolution(name: string, input: number, output: number, side: 1 | 3, stage: number | null): Parts {
  return { blocks: [weight(`${name}.weight`, [output, input, side, side], "convolution", stage)], buffers: [] };
}

function batchNorm(name: string, channels: number, stage: number | null): Parts {
  const statistics = ["running_mean", "running_var"];
  return {
    blocks: norm(name, channels, stage),
    buffers: statistics.map((statistic) => ({ name: `${name}.${statistic}`, shape: [channels] })),
  };
}

function joined(parts: readonly Parts[]): Parts {
  return { blocks: parts.flatMap(({ blocks }) => blocks), buffers: parts.flatMap(({ buffers }) => buffers) };
}

/** Three convolutions, the first two with half the width. */
function stem(prefix: string, width: number): Parts {
  const half = width / 2;
  return joined([[3, half], [half, half], [half, width]].flatMap(([input = 0, output = 0], index) => [
    convolution(`${prefix}conv${index + 1}`, input, output, 3, null),
    batchNorm(`${prefix}bn${index + 1}`, output, null),
  ]));
}

/** @param projected whether the shortcut has a convolution of its own. */
function bottleneck(name: string, input: number, inner: number, stage: number, projected: boolean): Parts {
  const output = EXPANSION * inner;
  const shortcut = [convolution(`${name}.downsample.0`, input, output, 1, stage), batchNorm(`${name}.downsample.1`, output, stage)];
  return joined([
    convolution(`${name}.conv1`, input, inner, 1, stage),
    batchNorm(`${name}.bn1`, inner, stage),
    convolution(`${name}.conv2`, inner, inner, 3, stage),
    batchNorm(`${name}.bn2`, inner, stage),
    convolution(`${name}.conv3`, inner, output, 1, stage),
    batchNorm(`${name}.bn3`, output, stage),
    ...(projected ? shortcut : []),
  ]);
}

function stages(prefix: string, layers: Layers, width: number): Parts {
  return joined(layers.flatMap((depth, stage) => {
    const inner = width * 2 ** stage;
    const before = stage === 0 ? width : (EXPANSION * inner) / 2;
    return Array.from({ length: depth }, (_, index) => {
      const input = index === 0 ? before : EXPANSION * inner;
      return bottleneck(`${prefix}layer${stage + 1}.${index}`, input, inner, stage, index === 0);
    });
  }));
}

function attentionPool(name: string, positions: number, channels: number, outputWidth: number): Parts {
  return {
    blocks: [
      weight(`${name}.positional_embedding`, [positions + 1, channels], "positional_embedding"),
      ...["k_proj", "q_proj", "v_proj"].flatMap((part) => [
        weight(`${name}.${part}.weight`, [channels, channels], "attention_input"),
        bias(`${name}.${part}.bias`, [channels], "attention_input"),
      ]),
      weight(`${name}.c_proj.weight`, [outputWidth, channels], "attention_output"),
      bias(`${name}.c_proj.bias`, [outputWidth], "attention_output"),
    ],
    buffers: [],
  };
}

export interface ResNetSizes {
  readonly layers: Layers;
  readonly width: number;
  /** That attention pooling sees: (image side / 32)². */
  readonly positions: number;
  /** Of the last stage. */
  readonly channels: number;
  readonly outputWidth: number;
}

/** The parameters of CLIP's ResNet in the order of PyTorch's state dict, and the running statistics of its BatchNorms. */
export function resNetParts(prefix: string, { layers, width, positions, channels, outputWidth }: ResNetSizes): Parts {
  return joined([
    stem(prefix, width),
    stages(prefix, layers, width),
    attentionPool(`${prefix}attnpool`, positions, channels, outputWidth),
  ]);
}
