import { resNetSuite } from "../../core/test/resnet-suite.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

withTensorFlow(() => resNetSuite(onCpu));
