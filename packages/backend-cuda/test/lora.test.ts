import { loraSuite } from "../../core/test/lora-suite.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

withTensorFlow(() => loraSuite(onCpu));
