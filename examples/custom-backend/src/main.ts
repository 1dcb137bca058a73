import { join } from "node:path";
import { parseArgs } from "node:util";
import { openModelFolder } from "@atlas-tv/checkpoints";
import { parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { blockwise, createContainer, CrossEntropyObjective, learn, PlainBackend, Random, resolvePlugin, trainingTransform } from "@atlas-tv/core";
import { fewShots, labelledBatches, mnist, splitTrainValidation } from "@atlas-tv/datasets";
import { ZOO_MODEL, zooCheckpoints } from "@atlas-tv/zoo";
import { plugin } from "./resident-backend.js";

const TARGET = "MNIST";
const SHOTS = 4;

const { values: flags } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const epochs = flags.quick ? 2 : 20;

const container = createContainer();
plugin.register(container);
const resident = resolvePlugin(container, "backend", "resident");
await resident.activate();

const model = openModelFolder(join(zooCheckpoints(), ZOO_MODEL));
const spec = visionSpec(parseClipConfig(model.config));
const base = await model.base(spec);
const vectors = await Promise.all(model.tasks.filter((task) => task !== TARGET).map((task) => model.taskVector(task, spec)));
const head = (await model.head(TARGET))!;
const { train, augmentation } = await mnist({ classNames: head.classNames });
const indices = fewShots(train.labels, splitTrainValidation(train.length).train, SHOTS, new Random(1));
const transform = trainingTransform({ size: spec.imageSize, normalisation: model.normalisation, augmentation });

const results = [];
for (const backend of [new PlainBackend("wasm"), resident]) {
  const encoder = await backend.compile(spec, base, vectors, blockwise());
  const started = performance.now();
  const { last, history } = await learn({
    encoder,
    objective: new CrossEntropyObjective(head),
    batches: (epoch) => labelledBatches({ source: train, indices, batchSize: indices.length, transform, random: new Random(1), epoch }),
    batchesPerEpoch: 1,
    epochs,
    learningRate: 0.1,
  });
  encoder.dispose();
  results.push(last["coef"]!);
  const milliseconds = (performance.now() - started) / epochs;
  console.log(`${backend.id.padEnd(10)} loss ${history.at(-1)!.loss.toFixed(4)} after ${epochs} steps of ${indices.length} images, ${milliseconds.toFixed(0)} ms each`);
}
const [plain, own] = results;
const difference = Math.max(...plain!.map((value, i) => Math.abs(value - own![i]!)));
console.log(`largest difference of ${plain!.length} learned coefficients: ${difference}`);
