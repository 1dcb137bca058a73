import { trainingSuite } from "../../core/test/training-suite.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

await withTensorFlow(() => trainingSuite(onCpu));
