/** One model for several tasks: learns how much of each task's vector to add, block by block (aTLAS, section 4.2). */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { openModelFolder } from "@atlas-tv/checkpoints";
import { parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { additionMetrics, additionRule, ADDITION_METRICS, blockwise, evaluate, learn, Random, SlicedCrossEntropyObjective, trainingTransform, validationTransform, type ComposedEncoder, type Metrics, type NamedArrays } from "@atlas-tv/core";
import { datasetByName, evaluationBatches, jointBatchCount, jointBatches, splitTrainValidation } from "@atlas-tv/datasets";
import { ZOO_MODEL, zooCheckpoints, zooData } from "@atlas-tv/zoo";

const BATCH = 128;
const LEARNING_RATE = 1e-2;

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    targets: { type: "string", default: "MNIST,FashionMNIST" },
  },
});
const names = flags.targets.split(",");
const { seeds, epochs, images, testImages } = flags.quick
  ? { seeds: [1], epochs: 2, images: 500, testImages: 1000 }
  : { seeds: [1, 2, 3], epochs: 10, images: 1000, testImages: Infinity };

const backend = new CpuBackend();
await backend.activate();

// θ0, and the task vectors of all the tasks.
const model = openModelFolder(join(zooCheckpoints(), ZOO_MODEL));
const spec = visionSpec(parseClipConfig(model.config));
const vectors = await Promise.all(names.map((name) => model.taskVector(name, spec)));
const encoder = await backend.compile(spec, await model.base(spec), vectors, blockwise());

/** A data set with its zero-shot head. Its validation images are learned from, augmented, and selected on as they are. */
async function loadTask(name: string) {
  const { train, test, augmentation } = await datasetByName(name, { folders: [zooData()] });
  const indices = splitTrainValidation(train.length).validation.subarray(0, images);
  const tested = new Random(0).permutation(test.length).subarray(0, testImages);
  const { normalisation } = model;
  const plain = { batchSize: 250, transform: validationTransform(spec.imageSize, normalisation) };
  return {
    name,
    head: (await model.head(name))!,
    stream: { source: train, indices, transform: trainingTransform({ size: spec.imageSize, normalisation, augmentation }) },
    validation: evaluationBatches({ source: train, indices, ...plain }),
    test: evaluationBatches({ source: test, indices: tested, ...plain }),
  };
}

type Part = "validation" | "test";
const tasks = await Promise.all(names.map(loadTask));

async function accuracies(composed: ComposedEncoder, part: Part, of = tasks): Promise<Metrics> {
  const all: Record<string, number> = {};
  for (const task of of) all[task.name] = (await evaluate(composed, task[part], task.head)).accuracy;
  return all;
}

async function measure(coefficients: NamedArrays, part: Part, of = tasks): Promise<Metrics> {
  const composed = await encoder.compose(coefficients);
  try {
    return await accuracies(composed, part, of);
  } finally {
    composed.dispose();
  }
}

/** Each task by the model that was fine-tuned on it, θ0 + τ: what accuracies are divided by. */
async function finetuned(part: Part): Promise<Metrics> {
  const m = spec.blocks.length;
  const own = [];
  for (const [i, task] of tasks.entries()) {
    const coef = new Float32Array(tasks.length * m).fill(1, i * m, (i + 1) * m);
    own.push(await measure({ coef }, part, [task]));
  }
  return Object.assign({}, ...own) as Metrics;
}

function show(row: string, metrics: Metrics): void {
  console.log(row.padEnd(24) + Object.entries(metrics).map(([name, value]) => `${name} ${(100 * value).toFixed(1)}%`).join(", "));
}

const start = encoder.initialCoefficients();
const bounds = { validation: await finetuned("validation"), test: await finetuned("test") };
const zeroShot = additionMetrics(await measure(start, "validation"), bounds.validation);
show("zero-shot", additionMetrics(await measure(start, "test"), bounds.test));
show("fine-tuned, one each", bounds.test);

for (const seed of seeds) {
  const streams = tasks.map(({ stream }) => stream);
  const batches = jointBatchCount(Math.min(...streams.map(({ indices }) => indices.length)), BATCH, streams.length);
  const random = new Random(seed).fork("joint training");
  const { best } = await learn({
    encoder,
    // The sum of the tasks' cross-entropies, on equal shares of every batch.
    objective: new SlicedCrossEntropyObjective(tasks.map(({ head }) => ({ head, weight: 1 }))),
    batches: (epoch) => jointBatches({ streams, batchSize: BATCH, batches, random, epoch }),
    batchesPerEpoch: batches,
    epochs,
    learningRate: LEARNING_RATE,
    adamw: { weightDecay: 0.1 },
    evaluate: async (composed) => additionMetrics(await accuracies(composed, "validation"), bounds.validation),
    // The best mean of accuracies divided by those of the fine-tuned models.
    better: additionRule(zeroShot[ADDITION_METRICS.normalisedMean]!),
  });
  if (best === null) console.log(`seed ${seed}: no epoch is better than zero-shot; the pre-trained model stays`);
  show(`aTLAS, seed ${seed}, epoch ${best?.record.epoch ?? 0}`, additionMetrics(await measure(best?.values ?? start, "test"), bounds.test));
}
encoder.dispose();
