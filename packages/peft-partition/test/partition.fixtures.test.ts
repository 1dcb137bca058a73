import { presentBackends } from "../../../test/parity/present-backends.js";
import { compositionSuite } from "../../core/test/composition-suite.js";
import { runsOf, trainingSuite } from "../../core/test/training-suite.js";
import { PARTITION_CASES } from "./partition-cases.js";

/** Steps on a graphics device, which may be a processor in disguise. */
const FEW_STEPS = 5;

for (const backend of presentBackends) {
  compositionSuite(backend, PARTITION_CASES);
  trainingSuite(backend, runsOf(PARTITION_CASES), PARTITION_CASES, backend.id === "webgpu" ? FEW_STEPS : Infinity);
}
