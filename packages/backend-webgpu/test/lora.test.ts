import { bySide, loraSuite } from "../../core/test/lora-suite.js";
import { onWebGpu } from "./node-device.js";

onWebGpu("low rank on webgpu", (backend) => loraSuite(backend, bySide));
