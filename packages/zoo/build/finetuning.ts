import {
  blockwise, cosineSchedule, CrossEntropyObjective, dense, difference, evaluate, learn, trainingTransform, validationTransform,
  type Accuracy, type Backend, type ClassificationHead, type ComposedEncoder, type Dataset, type HostTensor,
  type ImageEncoderSpec, type LabelledBatch, type NamedArrays, type NamedHostTensors, type Normalisation, type Random, type TaskVector,
} from "@atlas-tv/core";
import { evaluationBatches, labelledBatches } from "@atlas-tv/datasets";

export interface FinetuningOptions {
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly warmup: number;
}

/** An encoder specification, its base weights and its pixel statistics. */
export interface FinetuningModel {
  readonly backend: Backend;
  readonly spec: ImageEncoderSpec;
  readonly base: NamedHostTensors;
  readonly normalisation: Normalisation;
}

const EVALUATION_BATCH = 250;

function asTensors(spec: ImageEncoderSpec, values: NamedArrays): NamedHostTensors {
  return new Map(spec.blocks.map(({ name, shape }): [string, HostTensor] => [name, { dtype: "F32", shape, data: values[name]! }]));
}

function testAccuracy(model: FinetuningModel, composed: ComposedEncoder, dataset: Dataset, head: ClassificationHead): Promise<Accuracy> {
  const transform = validationTransform(model.spec.imageSize, model.normalisation);
  return evaluate(composed, evaluationBatches({ source: dataset.test, batchSize: EVALUATION_BATCH, transform, cacheBytes: 0 }), head);
}

/** Accuracy of θ0 + τ, or of θ0 when no vector is given, on the test images of a task. */
export async function accuracyOnTest(model: FinetuningModel, dataset: Dataset, head: ClassificationHead, vector?: TaskVector): Promise<Accuracy> {
  const vectors = vector === undefined ? [] : [vector];
  const encoder = await model.backend.compile(model.spec, model.base, vectors, blockwise());
  const composed = await encoder.compose({ coef: new Float32Array(vectors.length * model.spec.blocks.length).fill(1) });
  try {
    return await testAccuracy(model, composed, dataset, head);
  } finally {
    composed.dispose();
    encoder.dispose();
  }
}

/** Fine-tunes the whole image encoder on a task with its text head frozen, and returns the task vector in half floats. */
export async function finetune(
  model: FinetuningModel,
  dataset: Dataset,
  head: ClassificationHead,
  options: FinetuningOptions,
  random: Random,
): Promise<TaskVector> {
  const transform = trainingTransform({
    size: model.spec.imageSize,
    normalisation: model.normalisation,
    ...(dataset.augmentation === undefined ? {} : { augmentation: dataset.augmentation }),
  });
  const encoder = await model.backend.compile(model.spec, model.base, [], dense());
  /** As many batches as steps, over as many passes as it takes. */
  async function* batches(): AsyncGenerator<LabelledBatch, void, undefined> {
    let left = options.steps;
    for (let epoch = 1; left > 0; epoch++) {
      for await (const batch of labelledBatches({ source: dataset.train, batchSize: options.batchSize, transform, random, epoch })) {
        yield batch;
        if (--left === 0) return;
      }
    }
  }
  try {
    const { last } = await learn({
      encoder,
      objective: new CrossEntropyObjective(head),
      batches,
      batchesPerEpoch: options.steps,
      epochs: 1,
      learningRate: options.learningRate,
      schedule: cosineSchedule(options.warmup),
      adamw: { weightDecay: options.weightDecay },
    });
    return difference(dataset.name, model.base, asTensors(model.spec, last));
  } finally {
    encoder.dispose();
  }
}
