import { textSuite, zeroShotSuite } from "../../clip/test/text-suite.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

withTensorFlow(() => {
  textSuite(onCpu);
  zeroShotSuite(onCpu);
});
