import { partition } from "@atlas-tv/peft-partition";
import { compositionSuite } from "../../core/test/composition-suite.js";
import { runsOf, trainingSuite } from "../../core/test/training-suite.js";
import { GOLDEN_MASKS } from "../../peft-partition/test/golden-masks.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

const CASES = { partitioned_all_blocks: { make: () => partition(GOLDEN_MASKS), mode: "standard", storage: "F16" } } as const;

await withTensorFlow(() => {
  compositionSuite(onCpu, CASES);
  trainingSuite(onCpu, runsOf(CASES), CASES);
});
