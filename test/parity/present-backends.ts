import { CpuBackend } from "@atlas-tv/backend-cpu";
import { PlainBackend, type Backend } from "@atlas-tv/core";
import { presentCuda } from "../../packages/backend-cuda/test/cpu-runtime.js";
import { presentWebGpu } from "../../packages/backend-webgpu/test/node-device.js";
import { PLAIN_BACKENDS } from "../../packages/core/test/plain-backends.js";

/** Every backend that computes here; the tests of the others' own packages say why they are absent. */
export const presentBackends: readonly Backend[] = [
  ...PLAIN_BACKENDS.map((name) => new PlainBackend(name)),
  new CpuBackend(),
  ...(presentWebGpu === null ? [] : [presentWebGpu]),
  ...(presentCuda === null ? [] : [presentCuda]),
];
