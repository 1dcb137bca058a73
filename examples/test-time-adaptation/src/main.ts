/** Adapts to unlabelled test images: learns coefficients with unsupervised FixMatch (aTLAS, section 4.4). */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { openModelFolder } from "@atlas-tv/checkpoints";
import { parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { blockwise, cosineSchedule, evaluate, learn, predictAll, Random, trainingTransform, validationTransform, withoutLabels, type ComposedEncoder, type NamedArrays } from "@atlas-tv/core";
import { evaluationBatches, mnist, stillBatches, subset, unlabelledBatches } from "@atlas-tv/datasets";
import { UfmObjective, ufmOptions } from "@atlas-tv/objective-ufm";
import { ZOO_MODEL, zooCheckpoints } from "@atlas-tv/zoo";

const TARGET = "MNIST";
const BATCH = 128;
const LEARNING_RATE = 0.03;

const { values: flags } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const { seeds, epochs, count } = flags.quick ? { seeds: [1], epochs: 3, count: 1000 } : { seeds: [1, 2], epochs: 10, count: 2500 };

const backend = new CpuBackend();
await backend.activate();

// θ0, the task vectors of all other tasks, and the target's zero-shot head.
const model = openModelFolder(join(zooCheckpoints(), ZOO_MODEL));
const spec = visionSpec(parseClipConfig(model.config));
const vectors = await Promise.all(model.tasks.filter((task) => task !== TARGET).map((task) => model.taskVector(task, spec)));
const head = (await model.head(TARGET))!;
const encoder = await backend.compile(spec, await model.base(spec), vectors, blockwise());

const { test, augmentation } = await mnist({ classNames: head.classNames });
const { normalisation } = model;
const weak = validationTransform(spec.imageSize, normalisation);
const strong = trainingTransform({ size: spec.imageSize, normalisation, augmentation });

async function withModel<T>(coefficients: NamedArrays, use: (composed: ComposedEncoder) => Promise<T>): Promise<T> {
  const composed = await encoder.compose(coefficients);
  try {
    return await use(composed);
  } finally {
    composed.dispose();
  }
}

// The labels of the test images are read here and nowhere else.
const labelled = evaluationBatches({ source: test, batchSize: 250, transform: weak });
async function show(row: string, coefficients: NamedArrays): Promise<void> {
  const { accuracy, total } = await withModel(coefficients, (composed) => evaluate(composed, labelled, head));
  console.log(`${row.padEnd(16)}${(100 * accuracy).toFixed(1)}% of ${total} test images`);
}

await show("zero-shot", encoder.initialCoefficients());
for (const seed of seeds) {
  const random = new Random(seed);
  // From here on there are no labels.
  const images = withoutLabels(subset(test, random.fork("images").permutation(test.length).subarray(0, count)));
  const all = stillBatches({ source: images, batchSize: 250, transform: weak });
  const objective = new UfmObjective(head, ufmOptions.parse({}));
  const { last } = await learn({
    encoder,
    objective,
    // An epoch begins with what the model says by then: its surest images of every class are trusted.
    plan: async (epoch, coefficients) => {
      const trusted = objective.trust(await withModel(coefficients, (composed) => predictAll(composed, all, head)));
      return unlabelledBatches({ source: images, trusted, batchSize: BATCH, weak, strong, random: random.fork("adaptation"), epoch });
    },
    epochs,
    learningRate: LEARNING_RATE,
    adamw: { weightDecay: 0.1 },
    schedule: cosineSchedule(),
  });
  await show(`aTLAS, seed ${seed}`, last);
}
encoder.dispose();
