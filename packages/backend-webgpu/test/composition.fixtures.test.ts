import { compositionSuite } from "../../core/test/composition-suite.js";
import { onWebGpu } from "./node-device.js";

onWebGpu("composition on webgpu", compositionSuite);
