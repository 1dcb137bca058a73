import {
  isotropic,
  learn,
  SlicedCrossEntropyObjective,
  type Backend,
  type CompiledEncoder,
  type CompileOptions,
  type ComposedEncoder,
  type Composition,
  type Learned,
  type Metrics,
  type NamedArrays,
  type TaskVector,
} from "@atlas-tv/core";
import { jointBatchCount, jointBatches } from "@atlas-tv/datasets";
import { pick, withComposed } from "./evaluation-set.js";
import type { Goal } from "./goal.js";
import { jointRandom, type JointTask } from "./joint-task.js";
import { learnerOptions, memoryOptions, type Learning } from "./learning-flags.js";
import type { LoadedModel } from "./loaded-model.js";
import type { RunHooks } from "./recorded-run.js";

export interface JointSetup {
  readonly backend: Backend;
  readonly threads?: number;
  readonly model: LoadedModel;
  readonly goal: Goal;
  /** In the order of the goal's tasks. */
  readonly tasks: readonly JointTask[];
  readonly vectors: readonly TaskVector[];
  readonly composition: Composition;
  readonly mode: NonNullable<CompileOptions["mode"]>;
}

/** Accuracies by task, on validation and on test images. */
export interface FinetunedAccuracies {
  readonly validation: Metrics;
  readonly test: Metrics;
}

/** What the goal reports, before and after. */
export interface JointResult {
  readonly learned: Learned;
  /** The coefficients of the epoch that was kept; those of the pre-trained model when none was. */
  readonly coefficients: NamedArrays;
  readonly zeroShot: { readonly validation: Metrics; readonly test: Metrics };
  readonly finetuned: FinetunedAccuracies;
  /** Of the kept coefficients, on test images. */
  readonly test: Metrics;
}

type Part = "validation" | "test";

export async function accuraciesOf(composed: ComposedEncoder, tasks: readonly JointTask[], part: Part): Promise<Metrics> {
  const accuracies: Record<string, number> = {};
  for (const task of tasks) accuracies[task.dataset.name] = (await task[part].measure(composed)).accuracy;
  return accuracies;
}

export function compileFor(setup: JointSetup, composition: Composition, memory: Pick<CompileOptions, "microBatch" | "recompute"> = {}): Promise<CompiledEncoder> {
  const { backend, model, vectors, mode, threads } = setup;
  return backend.compile(model.spec, model.base, vectors, composition, {
    mode,
    ...(threads === undefined ? {} : { threads }),
    ...memory,
  });
}

/** Accuracy of θ0 + τ on the task that τ was fine-tuned on, which normalises others; nothing for a task without its own τ. */
export async function finetunedAccuracies(setup: JointSetup): Promise<FinetunedAccuracies> {
  const { vectors } = setup;
  const tasks = setup.tasks.filter(({ dataset }) => vectors.some(({ name }) => name === dataset.name));
  const encoder = await compileFor(setup, isotropic());
  const validation: Record<string, number> = {};
  const test: Record<string, number> = {};
  try {
    for (const task of tasks) {
      const { name } = task.dataset;
      const coef = Float32Array.from(vectors, (vector) => (vector.name === name ? 1 : 0));
      await withComposed(encoder, { coef }, async (composed) => {
        Object.assign(validation, await accuraciesOf(composed, [task], "validation"));
        Object.assign(test, await accuraciesOf(composed, [task], "test"));
      });
    }
  } finally {
    encoder.dispose();
  }
  return { validation, test };
}

/** What the goal reports of coefficients, on one part of the images. */
export async function measureAt(
  setup: JointSetup,
  encoder: CompiledEncoder,
  coefficients: NamedArrays,
  part: Part,
  finetuned: FinetunedAccuracies,
): Promise<Metrics> {
  const accuracies = await withComposed(encoder, coefficients, (composed) => accuraciesOf(composed, setup.tasks, part));
  return setup.goal.metrics(accuracies, finetuned[part]);
}

/** Learns one composition for several tasks, each with a slice of every batch, and measures the epoch that is kept. */
export async function learnJointly(setup: JointSetup, learning: Learning, seed: number, hooks: RunHooks): Promise<JointResult> {
  const { goal, tasks, composition } = setup;
  const finetuned = goal.id === "addition" ? await finetunedAccuracies(setup) : { validation: {}, test: {} };
  const encoder = await compileFor(setup, composition, memoryOptions(learning));
  try {
    const start = encoder.initialCoefficients();
    const zeroShot = {
      validation: await measureAt(setup, encoder, start, "validation", finetuned),
      test: await measureAt(setup, encoder, start, "test", finetuned),
    };
    const streams = tasks.map(({ stream }) => stream);
    const counts = streams.map(({ indices }) => indices.length);
    const primary = goal.primary === "first" ? counts[0]! : Math.min(...counts);
    const batches = jointBatchCount(primary, learning.batchSize, streams.length);
    const random = jointRandom(seed);
    const learned = await learn({
      ...learnerOptions(learning),
      encoder,
      objective: new SlicedCrossEntropyObjective(tasks.map(({ head }, task) => ({ head, weight: goal.weights[task]! }))),
      batches: (epoch) => jointBatches({ streams, batchSize: learning.batchSize, batches, random, epoch }),
      batchesPerEpoch: batches,
      evaluate: async (composed) => goal.metrics(await accuraciesOf(composed, tasks, "validation"), finetuned.validation),
      better: goal.rule(zeroShot.validation),
      ...hooks,
    });
    const coefficients = learned.best === null ? start : pick(learned.best.values, encoder);
    const test = learned.best === null ? zeroShot.test : await measureAt(setup, encoder, coefficients, "test", finetuned);
    return { learned, coefficients, zeroShot, finetuned, test };
  } finally {
    encoder.dispose();
  }
}
