import { InputError, type Dataset } from "@atlas-tv/core";
import { datasetByName } from "@atlas-tv/datasets";
import type { TargetFlags } from "./shared-flags.js";
import { zoo } from "./zoo.js";

type TargetChoice = Pick<TargetFlags, "target" | "dataLocation">;

/** The data set that `--target` names, whatever images it has. */
export async function findTarget({ target, dataLocation }: TargetChoice): Promise<Dataset> {
  const packed = (await zoo())?.zooData();
  return datasetByName(target, {
    ...(dataLocation === undefined ? {} : { resolveFrom: [dataLocation] }),
    folders: [...(dataLocation === undefined ? [] : [dataLocation]), ...(packed === undefined ? [] : [packed])],
  });
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
