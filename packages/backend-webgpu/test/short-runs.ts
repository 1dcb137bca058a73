import { COLLECTING } from "../../core/test/fixture-bytes.js";
import { TRAINING_RUNS } from "../../core/test/training-suite.js";

/** Of each run, as many steps as show that a trajectory is followed: without a graphics card, every step takes its time. */
export const STEPS = COLLECTING ? 10 : 3;

/** One run of each objective, and one linearised. */
const CHOSEN = ["fewshot_blockwise", "fewshot_linearized", "negation", "addition_isotropic"];

export const RUNS = COLLECTING ? TRAINING_RUNS : TRAINING_RUNS.filter((name) => CHOSEN.includes(name));
