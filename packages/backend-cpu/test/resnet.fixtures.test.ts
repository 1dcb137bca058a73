import { resNetSuite } from "../../core/test/resnet-suite.js";
import { CpuBackend } from "../src/index.js";

resNetSuite(new CpuBackend());
