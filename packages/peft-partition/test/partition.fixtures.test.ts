import { presentBackends } from "../../../test/parity/present-backends.js";
import { STEPS } from "../../backend-webgpu/test/short-runs.js";
import { compositionSuite } from "../../core/test/composition-suite.js";
import { runsOf, trainingSuite } from "../../core/test/training-suite.js";
import { PARTITION_CASES } from "./partition-cases.js";

for (const backend of presentBackends) {
  compositionSuite(backend, PARTITION_CASES);
  trainingSuite(backend, runsOf(PARTITION_CASES), PARTITION_CASES, backend.id === "webgpu" ? STEPS : Infinity);
}
