import { PlainBackend } from "@atlas-tv/core";
import { PLAIN_BACKENDS } from "../../core/test/plain-backends.js";
import { textSuite, zeroShotSuite } from "./text-suite.js";

for (const name of PLAIN_BACKENDS) {
  textSuite(new PlainBackend(name));
  zeroShotSuite(new PlainBackend(name));
}
