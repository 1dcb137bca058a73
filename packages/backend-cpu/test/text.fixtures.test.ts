import { textSuite, zeroShotSuite } from "../../clip/test/text-suite.js";
import { CpuBackend } from "../src/index.js";

textSuite(new CpuBackend());
zeroShotSuite(new CpuBackend());
