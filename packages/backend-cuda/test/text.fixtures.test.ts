import { textSuite, zeroShotSuite } from "../../clip/test/text-suite.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

await withTensorFlow(() => {
  textSuite(onCpu);
  zeroShotSuite(onCpu);
});
