import { compositionSuite } from "../../core/test/composition-suite.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

withTensorFlow(() => compositionSuite(onCpu));
