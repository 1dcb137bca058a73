import { join } from "node:path";
import { parseArgs } from "node:util";
import { plugin as cpuPlugin } from "@atlas-tv/backend-cpu";
import { openModelFolder } from "@atlas-tv/checkpoints";
import { parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { blockwise, cosineSchedule, createContainer, crossEntropyPlugin, evaluate, learn, Random, resolvePlugin, trainingTransform, validationTransform } from "@atlas-tv/core";
import { batchCount, evaluationBatches, fewShots, labelledBatches, mnist, oversample, splitTrainValidation } from "@atlas-tv/datasets";
import { ZOO_MODEL, zooCheckpoints } from "@atlas-tv/zoo";
import { plugin as focalPlugin } from "./focal-loss.js";

const TARGET = "MNIST";
const SHOTS = 4;
const BATCH = 64;

const { values: flags } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const epochs = flags.quick ? 1 : 5;

// Everything is registered the same way, whoever wrote it.
const container = createContainer();
for (const plugin of [cpuPlugin, crossEntropyPlugin, focalPlugin]) plugin.register(container);

const backend = resolvePlugin(container, "backend", "cpu");
await backend.activate();
const model = openModelFolder(join(zooCheckpoints(), ZOO_MODEL));
const spec = visionSpec(parseClipConfig(model.config));
const base = await model.base(spec);
const vectors = await Promise.all(model.tasks.filter((task) => task !== TARGET).map((task) => model.taskVector(task, spec)));
const head = (await model.head(TARGET))!;
const { train } = await mnist({ classNames: head.classNames });

const random = new Random(1);
const { normalisation } = model;
const split = splitTrainValidation(train.length);
const indices = oversample(fewShots(train.labels, split.train, SHOTS, random.fork("shots")), BATCH);
const transform = trainingTransform({ size: spec.imageSize, normalisation, augmentation: "affine" });
const validation = evaluationBatches({ source: train, indices: split.validation.subarray(0, 1000), batchSize: 250, transform: validationTransform(spec.imageSize, normalisation) });

for (const id of ["cross-entropy", "focal"]) {
  const objective = resolvePlugin(container, "objective", id).create({ heads: [head], options: {} });
  const encoder = await backend.compile(spec, base, vectors, blockwise());
  const { history } = await learn({
    encoder,
    objective,
    batches: (epoch) => labelledBatches({ source: train, indices, batchSize: BATCH, transform, random, epoch }),
    batchesPerEpoch: batchCount(indices.length, BATCH),
    epochs,
    learningRate: 0.1,
    schedule: cosineSchedule(),
    evaluate: async (composed) => ({ accuracy: (await evaluate(composed, validation, head)).accuracy }),
  });
  encoder.dispose();
  const { loss, metrics } = history.at(-1)!;
  console.log(`${id}: loss ${loss.toFixed(3)}, ${(100 * metrics["accuracy"]!).toFixed(1)}% of 1,000 validation images after ${epochs} epochs with ${SHOTS} shots`);
}
