import { encoderSuite } from "../../core/test/encoder-suite.js";
import { CpuBackend } from "../src/index.js";

encoderSuite(new CpuBackend());
