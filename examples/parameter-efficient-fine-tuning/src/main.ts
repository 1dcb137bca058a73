/** aTLAS ×K: a coefficient for each of K random parts of every block, on growing shares of the data (aTLAS, section 5). */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { openModelFolder } from "@atlas-tv/checkpoints";
import { parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { cosineSchedule, CrossEntropyObjective, estimate, evaluate, learn, Random, trainingTransform, validationTransform, type CompiledEncoder, type NamedArrays } from "@atlas-tv/core";
import { batchCount, evaluationBatches, fraction, labelledBatches, mnist, oversample, splitTrainValidation } from "@atlas-tv/datasets";
import { blockMasks, partition } from "@atlas-tv/peft-partition";
import { ZOO_MODEL, zooCheckpoints } from "@atlas-tv/zoo";

const TARGET = "MNIST";
const BATCH = 64;

const { values: flags } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const { seeds, epochs, shares, parts, testImages } = flags.quick
  ? { seeds: [1], epochs: 2, shares: [0.001], parts: [1, 4], testImages: 1000 }
  : { seeds: [1], epochs: 10, shares: [0.001, 0.005], parts: [1, 16], testImages: Infinity };

const backend = new CpuBackend();
await backend.activate();

// θ0, the task vectors of all other tasks, and the target's zero-shot head.
const model = openModelFolder(join(zooCheckpoints(), ZOO_MODEL));
const spec = visionSpec(parseClipConfig(model.config));
const base = await model.base(spec);
const vectors = await Promise.all(model.tasks.filter((task) => task !== TARGET).map((task) => model.taskVector(task, spec)));
const head = (await model.head(TARGET))!;

const { train, test, augmentation } = await mnist({ classNames: head.classNames });
const { normalisation } = model;
const transform = trainingTransform({ size: spec.imageSize, normalisation, augmentation });
const indices = new Random(0).permutation(test.length).subarray(0, testImages);
const tested = evaluationBatches({ source: test, indices, batchSize: 250, transform: validationTransform(spec.imageSize, normalisation) });
const split = splitTrainValidation(train.length);

async function accuracyOf(encoder: CompiledEncoder, coefficients: NamedArrays): Promise<number> {
  const composed = await encoder.compose(coefficients);
  try {
    return (await evaluate(composed, tested, head)).accuracy;
  } finally {
    composed.dispose();
  }
}

async function learnParts(k: number, share: number, seed: number): Promise<number> {
  const random = new Random(seed);
  // The masks follow from the seed: nothing else is needed to apply the coefficients again.
  const encoder = await backend.compile(spec, base, vectors, partition(blockMasks(k, random.fork("partition"))));
  const shots = oversample(fraction(split.train, share, random.fork("shots")), BATCH);
  try {
    const { last } = await learn({
      encoder,
      objective: new CrossEntropyObjective(head),
      batches: (epoch) => labelledBatches({ source: train, indices: shots, batchSize: BATCH, transform, random: random.fork("training"), epoch }),
      batchesPerEpoch: batchCount(shots.length, BATCH),
      epochs,
      learningRate: 0.1,
      adamw: { weightDecay: 0.1 },
      schedule: cosineSchedule(),
    });
    return await accuracyOf(encoder, last);
  } finally {
    encoder.dispose();
  }
}

const pretrained = await backend.compile(spec, base, vectors, partition(blockMasks(1, new Random(0))));
console.log(`zero-shot: ${(100 * (await accuracyOf(pretrained, pretrained.initialCoefficients()))).toFixed(1)}% of ${indices.length} test images`);
pretrained.dispose();

for (const share of shares) {
  for (const k of parts) {
    const accuracies = [];
    for (const seed of seeds) accuracies.push(await learnParts(k, share, seed));
    const { mean, error, count } = estimate(accuracies);
    const spread = count > 1 ? ` ± ${(100 * error).toFixed(1)}` : "";
    console.log(`${100 * share}% of the data, K = ${k}, ${vectors.length * spec.blocks.length * k} coefficients: ${(100 * mean).toFixed(1)}%${spread}`);
  }
}
