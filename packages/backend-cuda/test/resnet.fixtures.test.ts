import { resNetSuite } from "../../core/test/resnet-suite.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

await withTensorFlow(() => resNetSuite(onCpu));
