import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, it } from "vitest";
import { CudaBackend } from "../src/index.js";
import { RUNTIME_VARIABLE } from "../src/runtime-folder.js";

/** Where a checkout keeps its runtime. */
process.env[RUNTIME_VARIABLE] ??= join(fileURLToPath(new URL("../../../.cache/cuda-runtime", import.meta.url)));

/** The backend on TensorFlow's build for the CPU, which is asked for by name. */
export const onCpu = new CudaBackend({ allowCpu: true });

/** Runs tests on TensorFlow, or tells in one skipped test why they cannot. */
export async function withTensorFlow(tests: () => void): Promise<void> {
  const { usable, missing } = await onCpu.probe();
  if (usable) tests();
  else describe("the cuda backend", () => it("computes on TensorFlow", ({ skip }) => skip(`not run: \`npm run test:cuda-runtime\` fetches and builds TensorFlow's runtime; missing ${missing[0]}`)));
}
