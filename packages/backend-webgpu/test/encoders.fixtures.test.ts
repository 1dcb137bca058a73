import { textSuite, zeroShotSuite } from "../../clip/test/text-suite.js";
import { compositionSuite } from "../../core/test/composition-suite.js";
import { encoderSuite } from "../../core/test/encoder-suite.js";
import { onWebGpu } from "./node-device.js";
import { CASES } from "./short-runs.js";

// In one file, and so in one process: the device compiles a shader once.
onWebGpu("the encoders on webgpu", (backend) => {
  for (const suite of [encoderSuite, textSuite, zeroShotSuite]) suite(backend);
  compositionSuite(backend, CASES);
});
