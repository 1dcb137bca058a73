import { trainingSuite } from "../../core/test/training-suite.js";
import { onWebGpu } from "./node-device.js";
import { RUNS, STEPS } from "./short-runs.js";

onWebGpu("training on webgpu", (backend) => trainingSuite(backend, RUNS, undefined, STEPS));
