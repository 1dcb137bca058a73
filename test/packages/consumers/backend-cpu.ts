import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { blockwise, difference, Random, randomParameters, type BlockKind, type BlockSpec, type VitSpec } from "@atlas-tv/core";

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

const backend = new CpuBackend();
assert.ok((await backend.probe()).usable);
await backend.activate();
const base = randomParameters(spec, new Random("base"));
const encoder = await backend.compile(spec, base, [difference("other", base, randomParameters(spec, new Random("other")))], blockwise());
const composed = await encoder.compose(encoder.initialCoefficients());
const pass = await composed.forward(tf.ones([2, 8, 8, 3]));
assert.deepEqual(pass.features.shape, [2, 4]);
const gradients = await pass.backward(tf.ones([2, 4]));
assert.equal(gradients["coef"]!.length, spec.blocks.length);
assert.ok(gradients["coef"]!.some((value) => value !== 0));
