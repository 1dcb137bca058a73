import { PlainBackend } from "../src/index.js";
import { encoderSuite } from "./encoder-suite.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

for (const name of PLAIN_BACKENDS) encoderSuite(new PlainBackend(name));
