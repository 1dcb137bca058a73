import { WebGpuBackend } from "@atlas-tv/backend-webgpu";
import { textSuite } from "../../packages/clip/test/text-suite.js";
import { compositionSuite } from "../../packages/core/test/composition-suite.js";
import { encoderSuite } from "../../packages/core/test/encoder-suite.js";
import { resNetSuite } from "../../packages/core/test/resnet-suite.js";
import { trainingSuite } from "../../packages/core/test/training-suite.js";
import { STEPS, RUNS } from "../../packages/backend-webgpu/test/short-runs.js";
import { runTest, testNames } from "./vitest-in-browser.js";

const backend = new WebGpuBackend();
for (const suite of [encoderSuite, compositionSuite, resNetSuite, textSuite]) suite(backend);
trainingSuite(backend, RUNS, undefined, STEPS);

Object.assign(globalThis, { atlasSuites: { testNames, runTest, probe: () => backend.probe() } });
