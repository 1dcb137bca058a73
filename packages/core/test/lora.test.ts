import { PlainBackend } from "../src/index.js";
import { loraSuite } from "./lora-suite.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

for (const name of PLAIN_BACKENDS) loraSuite(new PlainBackend(name));
