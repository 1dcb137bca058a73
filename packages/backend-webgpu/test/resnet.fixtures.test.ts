import { resNetSuite } from "../../core/test/resnet-suite.js";
import { onWebGpu } from "./node-device.js";

onWebGpu("the ResNet on webgpu", resNetSuite);
