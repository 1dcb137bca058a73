import assert from "node:assert/strict";
import { CudaBackend, setUpRuntime } from "@atlas-tv/backend-cuda";
import { InputError } from "@atlas-tv/core";

// The package with TensorFlow's kernels is an optional peer, and is not installed here.
const { usable, missing } = await new CudaBackend({ allowCpu: true }).probe();
assert.equal(usable, false);
assert.match(missing[0]!, /npm install --ignore-scripts @tensorflow\/tfjs-node-gpu/);
await assert.rejects(new CudaBackend().activate(), InputError);
await assert.rejects(setUpRuntime({ kind: "cpu", folder: "runtime" }), InputError);
