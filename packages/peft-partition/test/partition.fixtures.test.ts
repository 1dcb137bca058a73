import { presentBackends } from "../../../test/parity/present-backends.js";
import { compositionSuite } from "../../core/test/composition-suite.js";
import { COLLECTING } from "../../core/test/fixture-bytes.js";
import { runsOf, trainingSuite } from "../../core/test/training-suite.js";
import { PARTITION_CASES } from "./partition-cases.js";

const { partitioned_all_blocks } = PARTITION_CASES;

for (const backend of presentBackends) {
  // Without a graphics card WebGPU takes its time: all cases and trajectories are for the table of deviations only.
  const isSlow = !COLLECTING && backend.id === "webgpu";
  compositionSuite(backend, isSlow ? { partitioned_all_blocks } : PARTITION_CASES);
  if (!isSlow) trainingSuite(backend, runsOf(PARTITION_CASES), PARTITION_CASES);
}
