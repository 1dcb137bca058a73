import type { EncoderSpec, TextTransformerSpec, VitSpec } from "@atlas-tv/core";
import type { BlockSizes } from "./block-sizes.js";
import { classTokenBlock } from "./class-token-block.js";
import { patchEmbedding, patchLength } from "./patch-embedding.js";
import { pooling } from "./pooling.js";
import { residualBlock } from "./residual-block.js";
import { resNetStages } from "./resnet-network.js";
import type { Binding, Stage } from "./stage.js";

/** An encoder as stages. */
export interface Network {
  readonly spec: EncoderSpec;
  /** Length of the first stage's input for one row of the batch. */
  readonly inputLength: number;
  readonly stages: readonly Stage[];
}

const whole = (block: string): Binding => ({ block, offset: 0 });

function blockBindings(name: string): Record<string, Binding> {
  return {
    norm1_weight: whole(`${name}.ln_1.weight`),
    norm1_bias: whole(`${name}.ln_1.bias`),
    out_weight: whole(`${name}.attn.out_proj.weight`),
    out_bias: whole(`${name}.attn.out_proj.bias`),
    norm2_weight: whole(`${name}.ln_2.weight`),
    norm2_bias: whole(`${name}.ln_2.bias`),
    fc_weight: whole(`${name}.mlp.c_fc.weight`),
    fc_bias: whole(`${name}.mlp.c_fc.bias`),
    proj_weight: whole(`${name}.mlp.c_proj.weight`),
    proj_bias: whole(`${name}.mlp.c_proj.bias`),
  };
}

function fullBlock(sizes: BlockSizes, name: string): Stage {
  const input = { in_weight: whole(`${name}.attn.in_proj_weight`), in_bias: whole(`${name}.attn.in_proj_bias`) };
  return { kind: residualBlock(sizes), bindings: { ...input, ...blockBindings(name) } };
}

function lastImageBlock(sizes: BlockSizes, name: string): Stage {
  const weight = `${name}.attn.in_proj_weight`;
  const bias = `${name}.attn.in_proj_bias`;
  return {
    kind: classTokenBlock(sizes),
    bindings: {
      query_weight: whole(weight),
      query_bias: whole(bias),
      keyvalue_weight: { block: weight, offset: sizes.width ** 2 },
      keyvalue_bias: { block: bias, offset: sizes.width },
      ...blockBindings(name),
    },
  };
}

function imageNetwork(spec: VitSpec): Network {
  const { prefix, imageSize, patchSize, width, layers, outputWidth } = spec;
  const patches = (imageSize / patchSize) ** 2;
  const sizes: BlockSizes = { ...spec, tokens: patches + 1, causal: false };
  const nameOf = (layer: number): string => `${prefix}transformer.resblocks.${layer}`;
  return {
    spec,
    inputLength: patches * patchLength(spec),
    stages: [
      {
        kind: patchEmbedding({ imageSize, patchSize, width }),
        bindings: {
          class: whole(`${prefix}class_embedding`),
          positions: whole(`${prefix}positional_embedding`),
          convolution: whole(`${prefix}conv1.weight`),
          norm_weight: whole(`${prefix}ln_pre.weight`),
          norm_bias: whole(`${prefix}ln_pre.bias`),
        },
      },
      ...Array.from({ length: layers - 1 }, (_, layer) => fullBlock(sizes, nameOf(layer))),
      lastImageBlock(sizes, nameOf(layers - 1)),
      {
        kind: pooling(width, outputWidth),
        bindings: {
          norm_weight: whole(`${prefix}ln_post.weight`),
          norm_bias: whole(`${prefix}ln_post.bias`),
          projection: whole(`${prefix}proj`),
        },
      },
    ],
  };
}

function textNetwork(spec: TextTransformerSpec): Network {
  const { prefix, width, layers, outputWidth, contextLength } = spec;
  const sizes: BlockSizes = { ...spec, tokens: contextLength, causal: true };
  return {
    spec,
    inputLength: contextLength * width,
    stages: [
      ...Array.from({ length: layers }, (_, layer) => fullBlock(sizes, `${prefix}transformer.resblocks.${layer}`)),
      {
        kind: pooling(width, outputWidth),
        bindings: {
          norm_weight: whole(`${prefix}ln_final.weight`),
          norm_bias: whole(`${prefix}ln_final.bias`),
          projection: whole(`${prefix}text_projection`),
        },
      },
    ],
  };
}

/** The stages of an encoder. Text is embedded, and its last token read, outside them. */
export function networkOf(spec: EncoderSpec): Network {
  switch (spec.family) {
    case "vit": return imageNetwork(spec);
    case "resnet": return { spec, inputLength: 3 * spec.imageSize ** 2, stages: resNetStages(spec) };
    case "text": return textNetwork(spec);
  }
}
