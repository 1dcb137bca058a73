import { COMPOSITION_CASES } from "../../core/test/composition-suite.js";
import { COLLECTING } from "../../core/test/fixture-bytes.js";
import { ONE_OF_EACH, TRAINING_RUNS } from "../../core/test/training-suite.js";

/** Of each run, as many steps as show that a trajectory is followed: without a graphics card, every step takes its time. */
export const STEPS = COLLECTING ? 10 : 3;

export const RUNS = COLLECTING ? TRAINING_RUNS : ONE_OF_EACH;

const { isotropic, blockwise, linearized_blockwise } = COMPOSITION_CASES;

export const CASES = COLLECTING ? COMPOSITION_CASES : { isotropic, blockwise, linearized_blockwise };
