import { compositionSuite } from "../../core/test/composition-suite.js";
import { CpuBackend } from "../src/index.js";

compositionSuite(new CpuBackend());
