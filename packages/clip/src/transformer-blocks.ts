import type { BlockKind, BlockSpec } from "@atlas-tv/core";

export function weight(name: string, shape: readonly number[], kind: BlockKind, layer: number | null = null): BlockSpec {
  return { name, shape, kind, role: "weight", layer };
}

export function bias(name: string, shape: readonly number[], kind: BlockKind, layer: number | null = null): BlockSpec {
  return { name, shape, kind, role: "bias", layer };
}

/** Weight and bias of a LayerNorm. */
export function norm(name: string, width: number, layer: number | null = null): BlockSpec[] {
  return [weight(`${name}.weight`, [width], "norm", layer), bias(`${name}.bias`, [width], "norm", layer)];
}

/** The parameters of residual blocks 0 … layers − 1, in the order of PyTorch's state dict. */
export function residualBlockSpecs(prefix: string, layers: number, width: number, mlpWidth: number): BlockSpec[] {
  return Array.from({ length: layers }, (_, layer) => {
    const name = `${prefix}transformer.resblocks.${layer}`;
    return [
      ...norm(`${name}.ln_1`, width, layer),
      weight(`${name}.attn.in_proj_weight`, [3 * width, width], "attention_input", layer),
      bias(`${name}.attn.in_proj_bias`, [3 * width], "attention_input", layer),
      weight(`${name}.attn.out_proj.weight`, [width, width], "attention_output", layer),
      bias(`${name}.attn.out_proj.bias`, [width], "attention_output", layer),
      ...norm(`${name}.ln_2`, width, layer),
      weight(`${name}.mlp.c_fc.weight`, [mlpWidth, width], "mlp_input", layer),
      bias(`${name}.mlp.c_fc.bias`, [mlpWidth], "mlp_input", layer),
      weight(`${name}.mlp.c_proj.weight`, [width, mlpWidth], "mlp_output", layer),
      bias(`${name}.mlp.c_proj.bias`, [width], "mlp_output", layer),
    ];
  }).flat();
}
