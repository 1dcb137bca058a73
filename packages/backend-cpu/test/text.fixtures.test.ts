import { clipTokens } from "../../clip/test/clip-tokens.js";
import { textSuite, zeroShotSuite } from "../../clip/test/text-suite.js";
import { CpuBackend } from "../src/index.js";

textSuite(new CpuBackend());
zeroShotSuite(new CpuBackend(), clipTokens);
