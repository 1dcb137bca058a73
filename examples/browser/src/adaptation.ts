import {
  AbortedError, cosineSchedule, CrossEntropyObjective, evaluate, learn, Random, trainingTransform, validationTransform,
  type Accuracy, type Augmentation, type ClassificationHead, type CompiledEncoder, type ComposedEncoder, type ImageEncoderSpec, type ImageSource,
  type LabelledBatch, type NamedArrays, type Normalisation,
} from "@atlas-tv/core";
import { batchCount, evaluationBatches, labelledBatches, oversample } from "@atlas-tv/datasets";

/** Images whose features are computed at once when accuracy is measured: bounds memory, not results. */
const EVALUATION_BATCH = 64;

export interface AdaptationSettings {
  readonly epochs: number;
  /** Images a step; few images are repeated so that an epoch has ten steps or more. */
  readonly batchSize: number;
  /** Peak rate of the coefficients; 0.1 in the paper's few-shot experiments. */
  readonly learningRate: number;
  readonly augmentation: Augmentation;
  readonly seed: number;
}

/** A compiled encoder, a frozen head, and the images to adapt it to. */
export interface Adaptation {
  readonly encoder: CompiledEncoder;
  readonly spec: ImageEncoderSpec;
  readonly normalisation: Normalisation;
  readonly head: ClassificationHead;
  readonly learning: ImageSource;
  /** Images that nothing is learned from; empty where there are none. */
  readonly checking: ImageSource;
  readonly settings: AdaptationSettings;
}

/** What is known after an epoch; epoch 0 is the pre-trained model. */
export interface EpochReport {
  readonly epoch: number;
  readonly epochs: number;
  /** Mean over the epoch's steps; null before the first. */
  readonly loss: number | null;
  /** On the images kept for checking; null where there are none. */
  readonly checked: Accuracy | null;
  /** On the images learned from, as they are, without variation. */
  readonly learned: Accuracy;
  /** λ, task vectors × blocks, row by row. */
  readonly coefficients: Float32Array;
}

export interface AdaptationHooks {
  readonly onStep?: (step: number, steps: number, loss: number) => void;
  readonly onEpoch?: (report: EpochReport) => void;
  readonly signal?: AbortSignal;
}

export interface Adapted {
  readonly coefficients: NamedArrays;
  /** The first entry is zero-shot. */
  readonly reports: readonly EpochReport[];
  /** Whether the signal ended it; the coefficients are then those of the last whole epoch. */
  readonly stopped: boolean;
}

/** Lets messages in before each batch: the signal to stop is one. */
async function* interruptible(batches: AsyncIterable<LabelledBatch>): AsyncGenerator<LabelledBatch, void, undefined> {
  for await (const batch of batches) {
    await new Promise((resume) => setTimeout(resume, 0));
    yield batch;
  }
}

type Measurement = Pick<EpochReport, "checked" | "learned">;

/** Measures a composed encoder on both sets of images. */
function ruler({ spec, normalisation, head, learning, checking }: Adaptation): (encoder: ComposedEncoder) => Promise<Measurement> {
  const transform = validationTransform(spec.imageSize, normalisation);
  const batches = (source: ImageSource): AsyncIterable<LabelledBatch> => evaluationBatches({ source, batchSize: EVALUATION_BATCH, transform });
  const [known, unknown] = [batches(learning), batches(checking)];
  return async (encoder) => ({
    learned: await evaluate(encoder, known, head),
    checked: checking.length === 0 ? null : await evaluate(encoder, unknown, head),
  });
}

/**
 * Learns one coefficient per task vector and parameter block from a few labelled images (paper, section 4.3): AdamW,
 * cosine, cross-entropy with the frozen head. The epochs are those of the settings, none is selected.
 * @throws InputError for settings out of range, NonFiniteLossError when the learning rate is too high.
 */
export async function adapt(adaptation: Adaptation, hooks: AdaptationHooks = {}): Promise<Adapted> {
  const { encoder, spec, normalisation, head, learning, settings } = adaptation;
  const { epochs, batchSize, learningRate, augmentation, seed } = settings;
  const measure = ruler(adaptation);
  const reports: EpochReport[] = [];
  const report = (epoch: number, loss: number | null, measured: Measurement, { coef }: NamedArrays): void => {
    reports.push({ epoch, epochs, loss, ...measured, coefficients: coef!.slice() });
    hooks.onEpoch?.(reports.at(-1)!);
  };

  let coefficients = encoder.initialCoefficients();
  const pretrained = await encoder.compose(coefficients);
  report(0, null, await measure(pretrained), coefficients);
  pretrained.dispose();

  const indices = oversample(Int32Array.from({ length: learning.length }, (_, index) => index), batchSize);
  const transform = trainingTransform({ size: spec.imageSize, normalisation, augmentation });
  const random = new Random(seed);
  let measured: Measurement | null = null;
  try {
    await learn({
      encoder,
      objective: new CrossEntropyObjective(head),
      batches: (epoch) => interruptible(labelledBatches({ source: learning, indices, batchSize, transform, random, epoch })),
      batchesPerEpoch: batchCount(indices.length, batchSize),
      epochs,
      learningRate,
      schedule: cosineSchedule(),
      evaluate: async (composed) => {
        measured = await measure(composed);
        return {};
      },
      better: () => false,
      save: ({ values, epoch, history }) => {
        coefficients = values;
        report(epoch, history.at(-1)!.loss, measured!, values);
        return Promise.resolve();
      },
      onEvent: (event) => {
        if (event.type === "step") hooks.onStep?.(event.step, event.steps, event.loss);
      },
      ...(hooks.signal === undefined ? {} : { signal: hooks.signal }),
    });
  } catch (error) {
    if (!(error instanceof AbortedError)) throw error;
    return { coefficients, reports, stopped: true };
  }
  return { coefficients, reports, stopped: false };
}
