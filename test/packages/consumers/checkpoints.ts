import assert from "node:assert/strict";
import { encodeSafetensors, memorySource, openSafetensors } from "@atlas-tv/checkpoints";
import { readFloat32 } from "@atlas-tv/core";

const chunks: Uint8Array[] = [];
for await (const chunk of encodeSafetensors(new Map([["coef", { dtype: "F32", shape: [2], data: Float32Array.of(0.5, -1) }]]))) chunks.push(chunk);
const file = await openSafetensors(memorySource(Buffer.concat(chunks)), "memory");
assert.deepEqual([...(await readFloat32(file.tensors.get("coef")!))], [0.5, -1]);
