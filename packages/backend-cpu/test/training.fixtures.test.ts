import { trainingSuite } from "../../core/test/training-suite.js";
import { CpuBackend } from "../src/index.js";

trainingSuite(new CpuBackend());
