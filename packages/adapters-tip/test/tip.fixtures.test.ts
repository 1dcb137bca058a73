import { presentBackends } from "../../../test/parity/present-backends.js";
import { tipSuite } from "./tip-suite.js";

for (const backend of presentBackends) tipSuite(backend);
