import { fileURLToPath } from "node:url";

/** Name of the one model of the zoo. */
export const ZOO_MODEL = "mini-clip";

/** The folder that holds the zoo's models, in the layout that `--checkpoints` takes. */
export function zooCheckpoints(): string {
  return fileURLToPath(new URL("../weights/", import.meta.url));
}

/** Where a checkout keeps the zoo's data sets, once `npm run zoo:data` has rendered them: a file for each. */
export function zooData(): string {
  return fileURLToPath(new URL("../../../.cache/zoo/data/", import.meta.url));
}
