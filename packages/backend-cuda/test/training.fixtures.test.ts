import { trainingSuite } from "../../core/test/training-suite.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

withTensorFlow(() => trainingSuite(onCpu));
