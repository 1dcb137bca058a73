import type { Activation } from "@atlas-tv/core";
import type { AttentionSizes } from "./attention.js";
import type { Value } from "./graph.js";
import type { ParameterSlot } from "./stage.js";

/** Sizes that the programs of residual blocks are built for. */
export interface BlockSizes extends AttentionSizes {
  readonly mlpWidth: number;
  readonly activation: Activation;
}

/** Inputs of a program by name. */
export type Inputs = Readonly<Record<string, Value>>;

/** Slots of LayerNorms, attention output and MLP, in both kinds of block. */
export function commonSlots({ width, mlpWidth }: BlockSizes): ParameterSlot[] {
  return [
    { name: "norm1_weight", shape: [width] },
    { name: "norm1_bias", shape: [width] },
    { name: "out_weight", shape: [width, width] },
    { name: "out_bias", shape: [width] },
    { name: "norm2_weight", shape: [width] },
    { name: "norm2_bias", shape: [width] },
    { name: "fc_weight", shape: [mlpWidth, width] },
    { name: "fc_bias", shape: [mlpWidth] },
    { name: "proj_weight", shape: [width, mlpWidth] },
    { name: "proj_bias", shape: [width] },
  ];
}

/** The common parameters that derivatives read; the other biases do not matter to them. */
export const DERIVATIVE_PARAMETERS = [
  "norm1_weight", "norm1_bias", "norm2_weight", "norm2_bias", "out_weight", "fc_weight", "proj_weight",
];
