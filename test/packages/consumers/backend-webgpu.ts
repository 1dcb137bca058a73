import assert from "node:assert/strict";
import { WebGpuBackend } from "@atlas-tv/backend-webgpu";
import { blockwise, Random, randomParameters, type BlockKind, type BlockSpec, type VitSpec } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";

const block = (name: string, shape: number[], kind: BlockKind, role: "weight" | "bias" = "weight"): BlockSpec =>
  ({ name: `visual.${name}`, shape, kind, role, layer: null });
const spec: VitSpec = {
  family: "vit", prefix: "visual.", imageSize: 8, patchSize: 4, width: 8, layers: 0, heads: 2, mlpWidth: 32, activation: "quick_gelu", outputWidth: 4,
  blocks: [
    block("class_embedding", [8], "class_embedding"),
    block("positional_embedding", [5, 8], "positional_embedding"),
    block("proj", [8, 4], "projection"),
    block("conv1.weight", [8, 3, 4, 4], "patch_embedding"),
    block("ln_pre.weight", [8], "norm"), block("ln_pre.bias", [8], "norm", "bias"),
    block("ln_post.weight", [8], "norm"), block("ln_post.bias", [8], "norm", "bias"),
  ],
};

const backend = new WebGpuBackend();
const { usable, missing, versions } = await backend.probe();
assert.ok("webgpu" in versions);
if (usable) {
  const encoder = await backend.compile(spec, randomParameters(spec, new Random("base")), [], blockwise());
  const composed = await encoder.compose(encoder.initialCoefficients());
  const features = await composed.features(tf.ones([2, 8, 8, 3]));
  assert.equal((await features.data()).length, 2 * 4);
} else {
  assert.ok(missing.length > 0);
  await assert.rejects(backend.activate(), /without an adapter/);
}
