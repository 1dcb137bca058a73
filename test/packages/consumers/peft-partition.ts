import assert from "node:assert/strict";
import { composeWeights, createContainer, resolvePlugin, type BlockSpec, type HostTensor } from "@atlas-tv/core";
import { plugin } from "@atlas-tv/peft-partition";

const container = createContainer();
plugin.register(container);
const composition = resolvePlugin(container, "composition", "partition").create({ seed: 1, options: { parts: 3 } });
const block: BlockSpec = { name: "visual.proj", shape: [4, 4], kind: "projection", role: "weight", layer: null };
const filled = (value: number): Map<string, HostTensor> => new Map([[block.name, { dtype: "F32", shape: block.shape, data: new Float32Array(16).fill(value) }]]);
const weights = await composeWeights([block], filled(1), [{ name: "ones", blocks: filled(1) }], composition, { coef: Float32Array.of(10, 20, 30) });
assert.deepEqual([...new Set(weights.get(block.name)!.data)].sort(), [11, 21, 31]);
