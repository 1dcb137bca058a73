import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  AbortedError, blockwise, CrossEntropyObjective, difference, evaluate, learn, NonFiniteLossError, PlainBackend, Random, randomParameters,
  type CompiledEncoder, type HostTensor, type LabelledBatch, type LearnerState, type LearnOptions, type NamedHostTensors, type Objective,
} from "../src/index.js";
import "./plain-backends.js";

const spec = visionSpec({
  embed_dim: 8, quick_gelu: true,
  vision_cfg: { image_size: 8, layers: 1, width: 8, head_width: 4, patch_size: 4 },
  text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 },
});
const random = new Random("learner");
const head = { name: "toy", classNames: ["a", "b", "c"], width: 8, weight: Float32Array.from({ length: 24 }, () => 3 * random.normal()) };

function noisy(base: NamedHostTensors, generator: Random): NamedHostTensors {
  return new Map([...base].map(([name, tensor]): [string, HostTensor] => [name, { dtype: "F32", shape: tensor.shape, data: Float32Array.from(tensor.data, (value) => value + 0.05 * generator.normal()) }]));
}

function batchesOf(epoch: number, count = 3, rows = 6): LabelledBatch[] {
  const own = new Random(`batches/${epoch}`);
  return Array.from({ length: count }, () => ({
    images: { data: Float32Array.from({ length: rows * 8 * 8 * 3 }, () => own.normal()), shape: [rows, 8, 8, 3] },
    labels: Int32Array.from({ length: rows }, () => own.below(3)),
  }));
}

let encoder: CompiledEncoder;

beforeAll(async () => {
  const backend = new PlainBackend("cpu");
  await backend.activate();
  const base = randomParameters(spec, random.fork("base"));
  const vectors = ["x", "y"].map((name) => difference(name, base, noisy(base, random.fork(name))));
  encoder = await backend.compile(spec, base, vectors, blockwise());
});

function options(extra: Partial<LearnOptions<LabelledBatch>> = {}): LearnOptions<LabelledBatch> {
  return { encoder, objective: new CrossEntropyObjective(head), batches: (epoch) => batchesOf(epoch), batchesPerEpoch: 3, epochs: 4, learningRate: 0.1, ...extra };
}

const bytes = (values: Float32Array): string => Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("hex");

describe("the learner", () => {
  it("lowers the loss, and gives the same bytes twice", async () => {
    const first = await learn(options({ batches: () => batchesOf(1) }));
    const second = await learn(options({ batches: () => batchesOf(1) }));
    expect(first.history.at(-1)!.loss).toBeLessThan(first.history[0]!.loss);
    expect(bytes(first.last["coef"]!)).toBe(bytes(second.last["coef"]!));
  });

  it("goes on from any saved epoch to the same bytes", async () => {
    const states: LearnerState[] = [];
    const whole = await learn(options({ save: (state) => { states.push(state); return Promise.resolve(); } }));
    for (const state of states) {
      const rest = await learn(options({ resume: state }));
      expect(bytes(rest.last["coef"]!)).toBe(bytes(whole.last["coef"]!));
      expect(rest.history).toEqual(whole.history);
    }
  });

  it("keeps the epoch with the best accuracy, the first of equals", async () => {
    const scores = [0.2, 0.7, 0.7, 0.1];
    const { best, last } = await learn(options({ evaluate: (_composed, epoch) => Promise.resolve({ accuracy: scores[epoch - 1]! }) }));
    expect(best?.record.epoch).toBe(2);
    expect(bytes(best!.values["coef"]!)).not.toBe(bytes(last["coef"]!));
  });

  it("selects nothing when no epoch satisfies the rule", async () => {
    const { best, history } = await learn(options({ evaluate: () => Promise.resolve({ accuracy: 1 }), better: () => false }));
    expect(best).toBeNull();
    expect(history.every(({ selected }) => !selected)).toBe(true);
  });

  it("accumulates to the gradient of the whole batch", async () => {
    const [whole] = batchesOf(1, 1, 6);
    const half = (from: number): LabelledBatch => ({ images: { data: whole!.images.data.subarray(from * 192, (from + 3) * 192), shape: [3, 8, 8, 3] }, labels: whole!.labels.slice(from, from + 3) });
    const once = await learn(options({ batches: () => [whole!], batchesPerEpoch: 1, epochs: 1 }));
    const twice = await learn(options({ batches: () => [half(0), half(3)], batchesPerEpoch: 2, accumulate: 2, epochs: 1 }));
    const parts = await learn(options({ batches: () => [whole!], batchesPerEpoch: 1, epochs: 1, microBatch: 4 }));
    once.last["coef"]!.forEach((value, i) => {
      expect(twice.last["coef"]![i]).toBeCloseTo(value, 4);
      expect(parts.last["coef"]![i]).toBeCloseTo(value, 4);
    });
  });

  it("takes a step for the batches left over at the end of an epoch", async () => {
    let steps = 0;
    await learn(options({ accumulate: 2, epochs: 2, onEvent: (event) => { if (event.type === "step") steps++; } }));
    expect(steps).toBe(4);
  });

  it("learns an objective's own parameters at their own rate", async () => {
    const objective: Objective<LabelledBatch> = {
      id: "scaled",
      parameters: [{ name: "temperature", shape: [1], initial: Float32Array.of(1), learningRate: 0.5, weightDecay: 0 }],
      views: (batch) => [batch.images],
      loss: ([features], _batch, { temperature }) => tf.mean(tf.square(tf.mul(features!, temperature!))) as tf.Scalar,
    };
    const { last } = await learn(options({ objective, epochs: 1, batchesPerEpoch: 1, batches: () => batchesOf(1, 1) }));
    expect(last["temperature"]![0]).toBeCloseTo(0.5, 5);
  });

  it("stops at a loss that is not a number and keeps the last good state", async () => {
    const objective = new CrossEntropyObjective(head);
    const poisoned = (epoch: number): LabelledBatch[] => {
      const batches = batchesOf(epoch);
      if (epoch === 3) batches[1]!.images.data.fill(NaN);
      return batches;
    };
    const error = await learn(options({ objective, batches: poisoned })).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(NonFiniteLossError);
    expect(error).toMatchObject({ step: 7, lastGood: { epoch: 2 } });
    expect((error as NonFiniteLossError).lastGood.values["coef"]!.every(Number.isFinite)).toBe(true);
  });

  it("stops at a gradient that is not a number though the loss is, before it is saved", async () => {
    const objective: Objective<LabelledBatch> = {
      id: "steep",
      parameters: [{ name: "root", shape: [1], initial: Float32Array.of(0) }],
      views: (batch) => [batch.images],
      loss: ([features], _batch, { root }) => tf.add(tf.mean(features!), tf.sum(tf.sqrt(root!))) as tf.Scalar,
    };
    const saved: number[] = [];
    const run = learn(options({ objective, batchesPerEpoch: 1, batches: () => batchesOf(1, 1), save: ({ epoch }) => { saved.push(epoch); return Promise.resolve(); } }));
    const error: unknown = await run.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(NonFiniteLossError);
    expect(error).toMatchObject({ step: 0, message: expect.stringMatching(/^the gradient's norm is (Infinity|NaN) at step 1; no epoch was finished/) as string });
    expect(saved).toEqual([]);
  });

  it("stops where an epoch's last step leaves coefficients that no accuracy can be measured with, and does not save that epoch", async () => {
    const saved: number[] = [];
    const run = learn(options({
      learningRate: 1e30,
      schedule: (step) => (step === 5 ? 1 : 1e-33),
      evaluate: async (composed) => ({ ...(await evaluate(composed, batchesOf(9), head)) }),
      save: ({ epoch }) => { saved.push(epoch); return Promise.resolve(); },
    }));
    const error: unknown = await run.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(NonFiniteLossError);
    expect(error).toMatchObject({ step: 5, lastGood: { epoch: 1 }, message: expect.stringContaining("after step 6; the state after epoch 1 is kept") as string });
    expect(saved).toEqual([1]);
  });

  it("stops when aborted", async () => {
    const controller = new AbortController();
    const run = learn(options({ signal: controller.signal, onEvent: (event) => { if (event.type === "epoch" && event.record.epoch === 2) controller.abort(); } }));
    await expect(run).rejects.toBeInstanceOf(AbortedError);
  });

  it.each([
    ["epochs", { epochs: 0 }],
    ["learningRate", { learningRate: NaN }],
    ["batches of epoch 1", { batchesPerEpoch: 5 }],
  ])("refuses wrong %s", async (where, wrong) => {
    await expect(learn(options(wrong))).rejects.toThrow(where);
  });

  it("leaves no tensor behind", async () => {
    const before = tf.memory().numTensors;
    await learn(options({ evaluate: async (composed) => ({ ...(await evaluate(composed, batchesOf(9), head)) }) }));
    expect(tf.memory().numTensors).toBe(before);
  });
});
