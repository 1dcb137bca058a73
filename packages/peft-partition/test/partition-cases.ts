import { partition } from "../src/index.js";
import { GOLDEN_MASKS, RELEASED_MASKS } from "./golden-masks.js";

/** The golden compositions with partitions of blocks. */
export const PARTITION_CASES = {
  partitioned_all_blocks: { make: () => partition(GOLDEN_MASKS), mode: "standard", storage: "F16" },
  partitioned_reference: { make: () => partition(RELEASED_MASKS), mode: "standard", storage: "F16" },
} as const;
