/** Forgets one task and keeps another: learns negative coefficients for the task's own vector (aTLAS, section 4.1). */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { openModelFolder } from "@atlas-tv/checkpoints";
import { parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { blockwise, evaluate, learn, negationRule, Random, SlicedCrossEntropyObjective, trainingTransform, validationTransform, type ComposedEncoder, type NamedArrays } from "@atlas-tv/core";
import { datasetByName, evaluationBatches, jointBatchCount, jointBatches, splitTrainValidation } from "@atlas-tv/datasets";
import { ZOO_MODEL, zooCheckpoints } from "@atlas-tv/zoo";

const TARGET = "MNIST";
const CONTROL = "FashionMNIST";

/** Share of the control's zero-shot accuracy that must be kept. */
const KEPT = 0.95;
const BATCH = 128;
const LEARNING_RATE = 2e-3;

const { values: flags } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const { seeds, epochs, images, testImages } = flags.quick
  ? { seeds: [1], epochs: 2, images: 500, testImages: 1000 }
  : { seeds: [1, 2], epochs: 6, images: 2000, testImages: Infinity };

const backend = new CpuBackend();
await backend.activate();

// θ0, and the one task vector that points to what is to be forgotten.
const model = openModelFolder(join(zooCheckpoints(), ZOO_MODEL));
const spec = visionSpec(parseClipConfig(model.config));
const encoder = await backend.compile(spec, await model.base(spec), [await model.taskVector(TARGET, spec)], blockwise());

/** A data set with its zero-shot head. Its validation images are learned from, augmented, and selected on as they are. */
async function loadTask(name: string) {
  const { train, test, augmentation } = await datasetByName(name);
  const indices = splitTrainValidation(train.length).validation.subarray(0, images);
  const tested = new Random(0).permutation(test.length).subarray(0, testImages);
  const { normalisation } = model;
  const plain = { batchSize: 250, transform: validationTransform(spec.imageSize, normalisation) };
  return {
    head: (await model.head(name))!,
    stream: { source: train, indices, transform: trainingTransform({ size: spec.imageSize, normalisation, augmentation }) },
    validation: evaluationBatches({ source: train, indices, ...plain }),
    test: evaluationBatches({ source: test, indices: tested, ...plain }),
  };
}

const target = await loadTask(TARGET);
const control = await loadTask(CONTROL);

async function accuracies(composed: ComposedEncoder, part: "validation" | "test"): Promise<{ target: number; control: number }> {
  return {
    target: (await evaluate(composed, target[part], target.head)).accuracy,
    control: (await evaluate(composed, control[part], control.head)).accuracy,
  };
}

async function measure(coefficients: NamedArrays, part: "validation" | "test"): Promise<{ target: number; control: number }> {
  const composed = await encoder.compose(coefficients);
  try {
    return await accuracies(composed, part);
  } finally {
    composed.dispose();
  }
}

function show(row: string, { target: forgotten, control: kept }: { target: number; control: number }): void {
  console.log(`${row.padEnd(28)}${TARGET} ${(100 * forgotten).toFixed(1)}%, ${CONTROL} ${(100 * kept).toFixed(1)}%`);
}

const start = encoder.initialCoefficients();
const zeroShot = await measure(start, "validation");
show("zero-shot", await measure(start, "test"));

for (const seed of seeds) {
  const streams = [target.stream, control.stream];
  const batches = jointBatchCount(target.stream.indices.length, BATCH, streams.length);
  const random = new Random(seed).fork("joint training");
  const { best } = await learn({
    encoder,
    // −CE(target) + CE(control), on the two halves of every batch.
    objective: new SlicedCrossEntropyObjective([{ head: target.head, weight: -1 }, { head: control.head, weight: 1 }]),
    batches: (epoch) => jointBatches({ streams, batchSize: BATCH, batches, random, epoch }),
    batchesPerEpoch: batches,
    epochs,
    learningRate: LEARNING_RATE,
    adamw: { weightDecay: 0.1 },
    evaluate: (composed) => accuracies(composed, "validation"),
    // The lowest target accuracy among the epochs that keep the control.
    better: negationRule(zeroShot, KEPT),
  });
  if (best === null) console.log(`seed ${seed}: no epoch keeps ${100 * KEPT}% of the control's accuracy; the pre-trained model stays`);
  show(`aTLAS, seed ${seed}, epoch ${best?.record.epoch ?? 0}`, await measure(best?.values ?? start, "test"));
}
encoder.dispose();
