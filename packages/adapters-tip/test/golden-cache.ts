import { fixtureJson, fixtureTensors, floats, integers } from "../../core/test/fixture-files.js";
import type { ClassificationHead, LabelledFeatures } from "@atlas-tv/core";

/** The tensors of the adapter fixtures. */
export const golden = fixtureTensors("adapters/adapters.safetensors");

/** What is said of one training run, per step. */
export interface Series {
  readonly loss: number[];
  readonly lr: number[];
  readonly grad_norm: number[];
}

export const expected = fixtureJson<{ n_classes: number; n: number; tip_loss_batch0: number; tip_train: Series }>("adapters/expected.json");

const width = golden.get("features_cache")!.shape[1]!;

export const head: ClassificationHead = {
  name: "golden",
  classNames: Array.from({ length: expected.n_classes }, (_, label) => `class ${label}`),
  width,
  weight: await floats(golden, "head_weight"),
};

export const shots: LabelledFeatures = { features: await floats(golden, "features_cache"), width, labels: await integers(golden, "labels") };

/** Rows of the cache in each batch. */
export async function batches(): Promise<Int32Array[]> {
  const [count = 0, size = 0] = golden.get("batch_indices")!.shape;
  const all = await integers(golden, "batch_indices");
  return Array.from({ length: count }, (_, batch) => all.slice(batch * size, (batch + 1) * size));
}
