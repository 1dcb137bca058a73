import assert from "node:assert/strict";
import { CudaBackend, setUpRuntime } from "@atlas-tv/backend-cuda";
import { InputError } from "@atlas-tv/core";

// Nothing is built here: what is missing is said, and nothing is computed on the CPU instead.
const { usable, missing } = await new CudaBackend({ runtime: "runtimes", allowCpu: true }).probe();
assert.equal(usable, false);
assert.match(missing[0]!, /^the addon of @tensorflow\/tfjs-node-gpu .*atlas cuda-setup/);
assert.match(missing[1]!, /^libtensorflow: wanted /);
await assert.rejects(new CudaBackend({ runtime: "runtimes" }).activate(), InputError);
await assert.rejects(setUpRuntime({ tensorflow: "nowhere", folder: "runtimes" }), InputError);
