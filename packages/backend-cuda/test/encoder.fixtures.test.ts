import { encoderSuite } from "../../core/test/encoder-suite.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

withTensorFlow(() => encoderSuite(onCpu));
