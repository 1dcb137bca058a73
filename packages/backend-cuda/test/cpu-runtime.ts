import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, it } from "vitest";
import { recordDevice } from "../../core/test/fixture-bytes.js";
import { CudaBackend } from "../src/index.js";
import { RUNTIME_VARIABLE } from "../src/runtime-folder.js";
import { tensorFlowBackend } from "../src/tensorflow-addon.js";

/** Where a checkout keeps its runtime. */
process.env[RUNTIME_VARIABLE] ??= join(fileURLToPath(new URL("../../../.cache/cuda-runtime", import.meta.url)));

/** The backend on TensorFlow's build for the CPU, which is asked for by name. */
export const onCpu = new CudaBackend({ allowCpu: true });

const { usable, device, versions, missing } = await onCpu.probe();
if (usable) {
  const onGpu = tensorFlowBackend().binding.isUsingGpuDevice();
  recordDevice({ backend: onCpu.id, device: onGpu ? device : `TensorFlow ${versions["tensorflow"]!} on the processor` });
}

/** TensorFlow, or null. */
export const presentCuda = usable ? onCpu : null;

/** Defines tests on TensorFlow, or one that says why they were not run. */
export function withTensorFlow(tests: () => void): void {
  if (usable) tests();
  else describe("the cuda backend", () => it("computes on TensorFlow", ({ skip }) => skip(`not run: \`npm run test:cuda-runtime\` fetches and builds TensorFlow's runtime; missing ${missing[0]}`)));
}
