import { PlainBackend } from "../src/index.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";
import { resNetSuite } from "./resnet-suite.js";

for (const name of PLAIN_BACKENDS) resNetSuite(new PlainBackend(name));
