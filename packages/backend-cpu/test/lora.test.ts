import { loraSuite } from "../../core/test/lora-suite.js";
import { CpuBackend } from "../src/index.js";

loraSuite(new CpuBackend());
