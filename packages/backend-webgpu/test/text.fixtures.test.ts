import { textSuite } from "../../clip/test/text-suite.js";
import { onWebGpu } from "./node-device.js";

onWebGpu("the text encoder on webgpu", textSuite);
