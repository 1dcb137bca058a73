import { textSuite } from "../../clip/test/text-suite.js";
import { CpuBackend } from "../src/index.js";

textSuite(new CpuBackend());
