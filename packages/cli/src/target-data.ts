import { openModelFolder } from "@atlas-tv/checkpoints";
import { InputError, type Dataset } from "@atlas-tv/core";
import { datasetByName, listDatasets } from "@atlas-tv/datasets";
import { join } from "node:path";
import type { TargetFlags } from "./shared-flags.js";
import { zoo } from "./zoo.js";

type TargetChoice = Pick<TargetFlags, "target" | "dataLocation">;

/** The data set of the zoo that has no task vector: the control of negation. */
const ZOO_CONTROL = "EmojiNames";

/** Names of the zoo's data sets that no package ships. */
async function renderedByZoo(): Promise<readonly string[]> {
  const installed = await zoo();
  if (installed === null) return [];
  const { tasks } = openModelFolder(join(installed.zooCheckpoints(), installed.ZOO_MODEL));
  const shipped = new Set(listDatasets().map(({ name }) => name));
  return [...tasks.filter((task) => !shipped.has(task)), ZOO_CONTROL];
}

/** The data set that `--target` names, whatever images it has. */
export async function findTarget({ target, dataLocation }: TargetChoice): Promise<Dataset> {
  const packed = (await zoo())?.zooData();
  try {
    return await datasetByName(target, {
      ...(dataLocation === undefined ? {} : { resolveFrom: [dataLocation] }),
      folders: [...(dataLocation === undefined ? [] : [dataLocation]), ...(packed === undefined ? [] : [packed])],
    });
  } catch (error) {
    const isUnknown = error instanceof InputError && error.facts.where === `data set "${target}"`;
    if (!isUnknown || !(await renderedByZoo()).includes(target)) throw error;
    const next = `npm run zoo:data, in a checkout, renders the zoo's data sets, which no package ships; ${target} is one of them`;
    throw new InputError({ ...error.facts, next }, { cause: error });
  }
}

/** `findTarget`. @throws InputError also where nothing could be learned or measured on it. */
export async function loadTarget(choice: TargetChoice): Promise<Dataset> {
  const { target } = choice;
  const dataset = await findTarget(choice);
  const where = `--target ${target}`;
  if (dataset.classNames.length < 2) {
    throw new InputError({
      where,
      got: `a single class, "${dataset.classNames[0] ?? ""}"`,
      expected: "at least two classes to tell apart",
    });
  }
  if (dataset.test.length === 0) {
    throw new InputError({ where, got: "no test images", expected: "at least one image to measure accuracy on" });
  }
  return dataset;
}
