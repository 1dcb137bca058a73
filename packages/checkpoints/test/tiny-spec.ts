import type { BlockSpec, ModifiedResNetSpec, VitSpec } from "@atlas-tv/core";

function block(name: string, shape: readonly number[], kind: BlockSpec["kind"] = "norm"): BlockSpec {
  return { name, shape, kind, role: name.endsWith("bias") ? "bias" : "weight", layer: null };
}

const sizes = { imageSize: 4, width: 2, heads: 1, outputWidth: 3 };

/** A few blocks of a vision transformer: enough to be matched by name and shape, not to be run. */
export const tinyVit: VitSpec = {
  ...sizes,
  family: "vit",
  prefix: "visual.",
  patchSize: 2,
  layers: 1,
  mlpWidth: 4,
  activation: "gelu",
  blocks: [
    block("visual.class_embedding", [2], "class_embedding"),
    block("visual.proj", [2, 3], "projection"),
    block("visual.conv1.weight", [2, 3, 2, 2], "patch_embedding"),
    block("visual.ln_pre.weight", [2]),
    block("visual.ln_pre.bias", [2]),
  ],
};

export const tinyResNet: ModifiedResNetSpec = {
  ...sizes,
  family: "resnet",
  prefix: "visual.",
  layers: [1, 1, 1, 1],
  blocks: [block("visual.bn1.weight", [2]), block("visual.bn1.bias", [2])],
  buffers: [{ name: "visual.bn1.running_mean", shape: [2] }, { name: "visual.bn1.running_var", shape: [2] }],
};
