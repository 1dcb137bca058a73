import { encoderSuite } from "../../core/test/encoder-suite.js";
import { onWebGpu } from "./node-device.js";

onWebGpu("the image encoder on webgpu", encoderSuite);
