import { WebGpuBackend } from "@atlas-tv/backend-webgpu";
import { lppSuite } from "../../packages/adapters-lpp/test/lpp-suite.js";
import { tipSuite } from "../../packages/adapters-tip/test/tip-suite.js";
import { textSuite, zeroShotSuite } from "../../packages/clip/test/text-suite.js";
import { COMPOSITION_CASES, compositionSuite } from "../../packages/core/test/composition-suite.js";
import { encoderSuite } from "../../packages/core/test/encoder-suite.js";
import { resNetSuite } from "../../packages/core/test/resnet-suite.js";
import { runsOf, trainingSuite } from "../../packages/core/test/training-suite.js";
import { ufmSuite } from "../../packages/objective-ufm/test/ufm-suite.js";
import { PARTITION_CASES } from "../../packages/peft-partition/test/partition-cases.js";
import { COLLECTING } from "../../packages/core/test/fixture-bytes.js";
import { CASES, RUNS, STEPS } from "../../packages/backend-webgpu/test/short-runs.js";
import { ALSO_IN_NODE } from "./fixture-bytes-in-browser.js";
import { runTest, testNames } from "./vitest-in-browser.js";

const backend = new WebGpuBackend();
for (const suite of [encoderSuite, textSuite, zeroShotSuite, tipSuite, lppSuite, ufmSuite]) suite(backend);

// Without a graphics card every case takes its time: what the same kernels compute in Node is not all computed again.
const isBrief = ALSO_IN_NODE && !COLLECTING;
const { partitioned_all_blocks } = PARTITION_CASES;
compositionSuite(backend, isBrief ? { blockwise: COMPOSITION_CASES.blockwise } : CASES);
if (!isBrief) {
  resNetSuite(backend);
  compositionSuite(backend, COLLECTING ? PARTITION_CASES : { partitioned_all_blocks });
}
trainingSuite(backend, COLLECTING ? RUNS : ["fewshot_blockwise"], undefined, STEPS);
if (COLLECTING) trainingSuite(backend, runsOf(PARTITION_CASES), PARTITION_CASES, STEPS);

Object.assign(globalThis, { atlasSuites: { testNames, runTest, probe: () => backend.probe() } });
