import { PlainBackend } from "../src/index.js";
import { COLLECTING } from "./fixture-bytes.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";
import { ONE_OF_EACH, TRAINING_RUNS, trainingSuite } from "./training-suite.js";

// Plain JavaScript takes about seven times as long as wasm for the same code.
for (const name of PLAIN_BACKENDS) trainingSuite(new PlainBackend(name), COLLECTING || name !== "cpu" ? TRAINING_RUNS : ONE_OF_EACH);
