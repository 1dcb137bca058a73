import { PlainBackend } from "../src/index.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";
import { trainingSuite } from "./training-suite.js";

for (const name of PLAIN_BACKENDS) trainingSuite(new PlainBackend(name));
