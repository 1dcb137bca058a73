import { join } from "node:path";
import { parseArgs } from "node:util";
import { plugin as cpuPlugin } from "@atlas-tv/backend-cpu";
import { openModelFolder } from "@atlas-tv/checkpoints";
import { parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { accuracyOf, blockwise, cosineSchedule, createContainer, encodeAll, headLogits, learn, linearProbePlugin, Random, resolvePlugin, trainingTransform, validationTransform, type LabelledBatch, type LabelledFeatures, type NamedArrays } from "@atlas-tv/core";
import { batchCount, evaluationBatches, fewShots, labelledBatches, mnist, oversample, splitTrainValidation } from "@atlas-tv/datasets";
import { ZOO_MODEL, zooCheckpoints } from "@atlas-tv/zoo";
import { plugin as residualPlugin } from "./task-residual.js";

const TARGET = "MNIST";
const SHOTS = 4;
const BATCH = 64;

const { values: flags } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const { epochs, count } = flags.quick ? { epochs: 3, count: 2000 } : { epochs: 20, count: Infinity };

// Everything is registered the same way, whoever wrote it.
const container = createContainer();
for (const plugin of [cpuPlugin, linearProbePlugin, residualPlugin]) plugin.register(container);

const backend = resolvePlugin(container, "backend", "cpu");
await backend.activate();
const model = openModelFolder(join(zooCheckpoints(), ZOO_MODEL));
const spec = visionSpec(parseClipConfig(model.config));
const vectors = await Promise.all(model.tasks.filter((task) => task !== TARGET).map((task) => model.taskVector(task, spec)));
const head = (await model.head(TARGET))!;
const encoder = await backend.compile(spec, await model.base(spec), vectors, blockwise());

const { train, test, augmentation } = await mnist({ classNames: head.classNames });
const random = new Random(1);
const shots = fewShots(train.labels, splitTrainValidation(train.length).train, SHOTS, random.fork("shots"));
const plain = { batchSize: 250, transform: validationTransform(spec.imageSize, model.normalisation) };
const tested = new Random(0).permutation(test.length).subarray(0, count);
const testImages = evaluationBatches({ source: test, indices: tested, ...plain });
const shotImages = evaluationBatches({ source: train, indices: shots, ...plain });

async function features(images: AsyncIterable<LabelledBatch>, coefficients: NamedArrays): Promise<LabelledFeatures> {
  const composed = await encoder.compose(coefficients);
  try {
    return await encodeAll(composed, images);
  } finally {
    composed.dispose();
  }
}

function show(row: string, { accuracy, total }: { accuracy: number; total: number }): void {
  console.log(`${row.padEnd(32)}${(100 * accuracy).toFixed(1)}% of ${total} test images`);
}

const start = encoder.initialCoefficients();
const context = { head, shots: await features(shotImages, start), options: {}, random: random.fork("adapter") };
const before = await features(testImages, start);
show("zero-shot", await accuracyOf(before, (rows) => headLogits(head, rows)));

// Alone, on frozen features: any adapter by its name.
for (const id of ["linear", "task-residual"]) {
  const adapter = await resolvePlugin(container, "adapter", id).fit(context);
  show(id, await accuracyOf(before, (rows) => adapter.logits(rows)));
}

// Together with the coefficients.
const joint = resolvePlugin(container, "adapter", "task-residual").joint!(context);
const indices = oversample(shots, BATCH);
const transform = trainingTransform({ size: spec.imageSize, normalisation: model.normalisation, augmentation });
const { last } = await learn({
  encoder,
  objective: joint.objective,
  batches: (epoch) => labelledBatches({ source: train, indices, batchSize: BATCH, transform, random: random.fork("training"), epoch }),
  batchesPerEpoch: batchCount(indices.length, BATCH),
  epochs,
  learningRate: 0.1,
  schedule: cosineSchedule(),
});
const { coef } = last;
const adapter = joint.fitted(last);
show(`aTLAS + task-residual, ${epochs} epochs`, await accuracyOf(await features(testImages, { coef: coef! }), (rows) => adapter.logits(rows)));
encoder.dispose();
