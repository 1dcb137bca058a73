import type { ClassificationHead, LabelledFeatures } from "@atlas-tv/core";
import { fixtureJson, fixtureTensors, floats, integers } from "../../core/test/fixture-files.js";
import { lppStart, type LppStart } from "../src/index.js";

/** The tensors of the adapter fixtures. */
export const golden = fixtureTensors("adapters/adapters.safetensors");

/** What is said of one training run, per step. */
export interface Series {
  readonly loss: number[];
  readonly lr?: number[];
  readonly grad_norm?: number[];
}

export const expected = fixtureJson<{
  n_classes: number;
  lpp_init: { alpha_init: number; lr_alpha: number; lr_w: number; lambda_max: number };
  lpp_loss_batch0: number;
} & Readonly<Record<string, Series>>>("adapters/expected.json");

const width = golden.get("features_cache")!.shape[1]!;

export const head: ClassificationHead = {
  name: "golden",
  classNames: Array.from({ length: expected.n_classes }, (_, label) => `class ${label}`),
  width,
  weight: await floats(golden, "head_weight"),
};

export const shots: LabelledFeatures = { features: await floats(golden, "features_cache"), width, labels: await integers(golden, "labels") };

/** Where the golden runs start: the reference draws the bias at random. */
export const start: LppStart = await (async () => {
  const own = lppStart(head, shots);
  return { ...own, parameters: { ...own.parameters, bias: await floats(golden, "lpp.init_bias") } };
})();

/** Rows of the shots in each batch. */
export const batches: readonly Int32Array[] = await (async () => {
  const [count = 0, size = 0] = golden.get("batch_indices")!.shape;
  const all = await integers(golden, "batch_indices");
  return Array.from({ length: count }, (_, batch) => all.slice(batch * size, (batch + 1) * size));
})();

/** The steps after which a run's parameters are stored. */
export function storedSteps(run: string, tensor: string): number[] {
  const prefix = `${run}.${tensor}_after_`;
  return [...golden.keys()].filter((name) => name.startsWith(prefix)).map((name) => Number(name.slice(prefix.length)));
}
