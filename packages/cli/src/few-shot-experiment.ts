import {
  accuracyOf,
  CrossEntropyObjective,
  learn,
  Random,
  trainingTransform,
  validationTransform,
  type Accuracy,
  type AdapterContext,
  type Backend,
  type ClassificationHead,
  type CompiledEncoder,
  type CompileOptions,
  type Composition,
  type Dataset,
  type FittedAdapter,
  type JointAdapter,
  type LabelledBatch,
  type LabelledFeatures,
  type Learned,
  type NamedArrays,
  type ObjectiveFactory,
  type TaskVector,
} from "@atlas-tv/core";
import {
  batchCount,
  evaluationBatches,
  fewShots,
  fraction,
  labelledBatches,
  oversample,
  shortClasses,
  splitTrainValidation,
  type ShortClass,
} from "@atlas-tv/datasets";
import type { ChosenAdapter } from "./adapters.js";
import type { BudgetGoal } from "./budget.js";
import { EvaluationSet, pick, withComposed } from "./evaluation-set.js";
import type { Subsample } from "./flags.js";
import { stoppable } from "./interruption.js";
import { learnerOptions, memoryOptions, type Learning } from "./learning-flags.js";
import type { LoadedModel } from "./loaded-model.js";
import { isUnmoved } from "./pretrained-start.js";
import type { RunHooks } from "./recorded-run.js";

/** Shots whose loss is differentiated at once when task vectors are chosen. */
const GRADIENT_BATCH = 64;

export interface FewShotRecipe {
  readonly subsample: Subsample;
  readonly allowShort: boolean;
  readonly learning: Learning;
  /** Validation images looked at after each epoch; 0 for none. */
  readonly validationImages: number;
}

export interface FewShotSetup {
  readonly backend: Backend;
  readonly threads?: number;
  readonly model: LoadedModel;
  readonly dataset: Dataset;
  readonly head: ClassificationHead;
  readonly vectors: readonly TaskVector[];
  readonly mode: NonNullable<CompileOptions["mode"]>;
  readonly objective: { readonly factory: ObjectiveFactory; readonly options: Readonly<Record<string, unknown>> };
  readonly adapter: ChosenAdapter | null;
  /** False: no coefficients are learned, and the adapter is fitted to the pre-trained model. */
  readonly compose: boolean;
}

/** Indices into the official training set. */
export interface FewShotSplit {
  readonly shots: Int32Array;
  readonly validation: Int32Array;
  /** Classes with fewer images than shots, which `--allow-short` lets pass. */
  readonly short: readonly ShortClass[];
}

/** Accuracies on the test set. */
export interface FewShotResult {
  /** Null where no coefficients were to be learned. */
  readonly learned: Learned | null;
  /** Coefficients were to be learned, and none has left its start: the result is the pre-trained model's. */
  readonly unmoved: boolean;
  readonly zeroShot: Accuracy;
  /** On the validation images; null where there are none, or nothing looks at them. */
  readonly zeroShotValidation: Accuracy | null;
  /** Of the zero-shot head after the last epoch: the headline without an adapter. */
  readonly last: Accuracy | null;
  /** The epoch chosen on validation images, reported apart; with the adapter where that was learned jointly. */
  readonly selected: Accuracy | null;
  readonly adapter: { readonly accuracy: Accuracy; readonly fitted: FittedAdapter } | null;
}

/** Validation images by seed 0, and the training images that a seed draws from the rest (paper, section 4.3). */
export function fewShotSplit(dataset: Dataset, recipe: FewShotRecipe, seed: number): FewShotSplit {
  const { train, validation } = splitTrainValidation(dataset.train.length);
  const random = new Random(seed).fork("shots");
  const { subsample, allowShort } = recipe;
  const { classNames } = dataset;
  const shots =
    "shots" in subsample
      ? fewShots(dataset.train.labels, train, subsample.shots, random, {
          classNames,
          allowShort,
          where: `--subsample ${subsample.shots} on ${dataset.name}`,
        })
      : fraction(train, subsample.fraction, random);
  const short = "shots" in subsample ? shortClasses(dataset.train.labels, train, subsample.shots, classNames.length) : [];
  return { shots, short, validation: validation.subarray(0, recipe.validationImages) };
}

/** The shots and their cross-entropy, for choosing task vectors by. */
export function fewShotGoal({ model, dataset, head }: FewShotSetup, { shots }: FewShotSplit, signal: AbortSignal): BudgetGoal<LabelledBatch> {
  const transform = validationTransform(model.spec.imageSize, model.normalisation);
  const batches = stoppable(evaluationBatches({ source: dataset.train, indices: shots, batchSize: GRADIENT_BATCH, transform }), signal);
  return { images: batches, objective: new CrossEntropyObjective(head), batches: () => Promise.resolve(() => batches) };
}

/** The images that one run looks at, as features of whatever coefficients. */
class FewShotRun {
  readonly #test: EvaluationSet;
  readonly #watched: EvaluationSet;
  readonly #shots: EvaluationSet;

  constructor(
    readonly setup: FewShotSetup,
    readonly recipe: FewShotRecipe,
    readonly split: FewShotSplit,
    readonly seed: number,
    readonly encoder: CompiledEncoder,
    readonly hooks: RunHooks,
  ) {
    const { model, head, dataset } = setup;
    this.#test = new EvaluationSet(model, head, { source: dataset.test }, hooks.signal);
    this.#watched = new EvaluationSet(model, head, { source: dataset.train, indices: split.validation }, hooks.signal);
    this.#shots = new EvaluationSet(model, head, { source: dataset.train, indices: split.shots }, hooks.signal);
  }

  #features(set: EvaluationSet, coefficients: NamedArrays): Promise<LabelledFeatures> {
    return withComposed(this.encoder, coefficients, (composed) => set.features(composed));
  }

  /** Accuracy of features by the zero-shot head, or by an adapter. */
  #classify(features: LabelledFeatures, adapter: FittedAdapter | null): Promise<Accuracy> {
    return adapter === null ? this.#test.classify(features) : accuracyOf(features, (rows) => adapter.logits(rows));
  }

  async #adapterContext({ options }: ChosenAdapter, coefficients: NamedArrays): Promise<AdapterContext> {
    return {
      head: this.setup.head,
      shots: await this.#features(this.#shots, coefficients),
      options,
      random: new Random(this.seed).fork("adapter"),
      signal: this.hooks.signal,
      onProgress: (step, steps, loss) => {
        this.hooks.onEvent({ type: "adapter", step, steps, loss });
      },
    };
  }

  async #learn(joint: JointAdapter | null): Promise<Learned> {
    const { setup, recipe, split, encoder, hooks } = this;
    const { dataset, head, model } = setup;
    const { learning } = recipe;
    const indices = oversample(split.shots, learning.batchSize);
    const augmentation = dataset.augmentation === undefined ? {} : { augmentation: dataset.augmentation };
    const training = {
      source: dataset.train,
      indices,
      batchSize: learning.batchSize,
      transform: trainingTransform({ size: model.spec.imageSize, normalisation: model.normalisation, ...augmentation }),
      random: new Random(this.seed).fork("training"),
    };
    return learn({
      ...learnerOptions(learning),
      encoder,
      objective: joint?.objective ?? setup.objective.factory.create({ heads: [head], options: setup.objective.options }),
      batches: (epoch) => labelledBatches({ ...training, epoch }),
      batchesPerEpoch: batchCount(indices.length, learning.batchSize),
      ...(split.validation.length === 0
        ? {}
        : {
            evaluate: async (composed, _epoch, values) => {
              const features = await this.#watched.features(composed);
              return { accuracy: (await this.#classify(features, joint?.fitted(values) ?? null)).accuracy };
            },
          }),
      ...hooks,
    });
  }

  async run(): Promise<FewShotResult> {
    const { adapter, compose } = this.setup;
    const initial = this.encoder.initialCoefficients();
    const before = await this.#features(this.#test, initial);
    const zeroShot = await this.#classify(before, null);
    if (!compose) {
      const fitted = await adapter!.factory.fit(await this.#adapterContext(adapter!, initial));
      const accuracy = await this.#classify(before, fitted);
      return { learned: null, unmoved: false, zeroShot, zeroShotValidation: null, last: null, selected: null, adapter: { fitted, accuracy } };
    }
    const joint = adapter?.mode === "joint" ? adapter.factory.joint!(await this.#adapterContext(adapter, initial)) : null;
    const learned = await this.#learn(joint);
    const coefficients = pick(learned.last, this.encoder);
    const after = await this.#features(this.#test, coefficients);
    const { best } = learned;
    const fitted =
      adapter === null
        ? null
        : (joint?.fitted(learned.last) ?? (await adapter.factory.fit(await this.#adapterContext(adapter, coefficients))));
    return {
      learned,
      unmoved: isUnmoved(learned.last, this.encoder),
      zeroShot,
      zeroShotValidation:
        this.split.validation.length === 0 ? null : await this.#classify(await this.#features(this.#watched, initial), null),
      last: await this.#classify(after, null),
      selected:
        best === null
          ? null
          : await this.#classify(
              await this.#features(this.#test, pick(best.values, this.encoder)),
              joint?.fitted(best.values) ?? null,
            ),
      adapter: fitted === null ? null : { fitted, accuracy: await this.#classify(after, fitted) },
    };
  }
}

/**
 * Learns a composition from a few labelled images of the target, an adapter with it or after it, and measures both on
 * the whole test set.
 */
export async function runFewShots(
  setup: FewShotSetup,
  composition: Composition,
  recipe: FewShotRecipe,
  split: FewShotSplit,
  seed: number,
  hooks: RunHooks,
): Promise<FewShotResult> {
  const { spec, base } = setup.model;
  const encoder = await setup.backend.compile(spec, base, setup.vectors, composition, {
    mode: setup.mode,
    ...(setup.threads === undefined ? {} : { threads: setup.threads }),
    ...memoryOptions(recipe.learning),
  });
  try {
    return await new FewShotRun(setup, recipe, split, seed, encoder, hooks).run();
  } finally {
    encoder.dispose();
  }
}
