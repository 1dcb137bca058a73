import { PlainBackend } from "../src/index.js";
import { compositionSuite } from "./composition-suite.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

for (const name of PLAIN_BACKENDS) compositionSuite(new PlainBackend(name));
