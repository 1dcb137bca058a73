import { CpuBackend } from "@atlas-tv/backend-cpu";
import { PlainBackend } from "@atlas-tv/core";
import { compositionSuite } from "../../core/test/composition-suite.js";
import { PLAIN_BACKENDS } from "../../core/test/plain-backends.js";
import { runsOf, trainingSuite } from "../../core/test/training-suite.js";
import { partition } from "../src/index.js";
import { GOLDEN_MASKS, RELEASED_MASKS } from "./golden-masks.js";

const CASES = {
  partitioned_all_blocks: { make: () => partition(GOLDEN_MASKS), mode: "standard", storage: "F16" },
  partitioned_reference: { make: () => partition(RELEASED_MASKS), mode: "standard", storage: "F16" },
} as const;

for (const backend of [...PLAIN_BACKENDS.map((name) => new PlainBackend(name)), new CpuBackend()]) {
  compositionSuite(backend, CASES);
  trainingSuite(backend, runsOf(CASES), CASES);
}
