import type { Backend } from "@atlas-tv/core";
import { presentBackends } from "../../../test/parity/present-backends.js";
import { compositionSuite } from "../../core/test/composition-suite.js";
import { COLLECTING } from "../../core/test/fixture-bytes.js";
import { runsOf, trainingSuite } from "../../core/test/training-suite.js";
import { PARTITION_CASES } from "./partition-cases.js";

/** Without a graphics card WebGPU takes its time: its trajectories are followed for the table of deviations only. */
const follows = ({ id }: Backend): boolean => COLLECTING || id !== "webgpu";

for (const backend of presentBackends) {
  compositionSuite(backend, PARTITION_CASES);
  if (follows(backend)) trainingSuite(backend, runsOf(PARTITION_CASES), PARTITION_CASES);
}
