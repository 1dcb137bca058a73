import { blockwise, difference, EntropyObjective, PlainBackend, Random, randomParameters, withoutLabels, type ImageSource, type LearnerState, type UnlabelledBatch } from "@atlas-tv/core";
import "@tensorflow/tfjs-backend-cpu";
import { plugin, UfmObjective, ufmOptions } from "@atlas-tv/objective-ufm";
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { adapt, adaptationGoal, type Adaptation } from "../src/adaptation.js";
import { ufmRecipe } from "../src/recipes.js";
import { SPEC } from "./tiny-model.js";

const CLASSES = 3;
const random = new Random("adaptation");
const base = randomParameters(SPEC, random.fork("base"));
const vectors = ["a", "b"].map((name) => difference(name, base, randomParameters(SPEC, random.fork(name))));
const head = {
  name: "three",
  classNames: ["a", "b", "c"],
  width: SPEC.outputWidth,
  weight: Float32Array.from({ length: CLASSES * SPEC.outputWidth }, () => 4 * random.normal()),
};

const side = SPEC.imageSize;
const pictures = Array.from({ length: 40 }, () => Uint8Array.from({ length: side * side * 3 }, () => random.below(256)));

/** Images whose labels nobody may ask for. */
const source: ImageSource = {
  name: "secretive",
  length: pictures.length,
  classNames: head.classNames,
  get labels(): Int32Array {
    throw new Error("a label was asked for");
  },
  image: (index) => Promise.resolve({ width: side, height: side, channels: 3, data: pictures[index]! }),
};

async function setting(more: Partial<Adaptation> = {}): Promise<Adaptation> {
  const backend = new PlainBackend("cpu");
  await backend.activate();
  const encoder = await backend.compile(SPEC, base, vectors, blockwise());
  const learning = { ...ufmRecipe({ preset: "default", dataset: "three", family: "vit" }), lr: 0.05, epochs: 3, batchSize: 16, accumulate: 1, microBatch: null, lpReg: null };
  return {
    encoder, head, learning,
    model: { spec: SPEC, normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } },
    images: withoutLabels(source),
    augmentation: "affine",
    objective: new UfmObjective(head, ufmOptions.parse({ omegaStart: 0.3, omegaEnd: 0.6, perClass: 5 })),
    random: new Random(7),
    hooks: { onEvent: () => {}, signal: new AbortController().signal, save: () => Promise.resolve() },
    remark: () => {},
    ...more,
  };
}

test.each(["ufm", "entropy"])("%s learns without asking for a label", async (id) => {
  const own = await setting(id === "ufm" ? {} : { objective: new EntropyObjective(head) });
  const { last, history } = await adapt(own);
  own.encoder.dispose();
  expect(history).toHaveLength(3);
  expect(last["coef"]!.some((value) => value !== 0)).toBe(true);
});

test.each(["ufm", "entropy"])("%s has batches to choose task vectors by, the same again and again, without asking for a label", async (id) => {
  const own = await setting(id === "ufm" ? {} : { objective: new EntropyObjective(head) });
  const batches = await adaptationGoal(own).batches(own.encoder);
  own.encoder.dispose();
  const passes = [];
  for (let pass = 0; pass < 2; pass++) {
    const trusted: Int32Array[] = [];
    for await (const batch of batches()) trusted.push(batch.trusted);
    passes.push(trusted);
  }
  expect(passes[1]).toEqual(passes[0]);
  expect(passes[0]!.flatMap((batch) => [...batch]).some((label) => label >= 0)).toBe(id === "ufm");
});

test("minimising entropy lowers it", async () => {
  const own = await setting({ objective: new EntropyObjective(head) });
  const { history } = await adapt(own);
  own.encoder.dispose();
  expect(history.at(-1)!.loss).toBeLessThan(history[0]!.loss);
});

test("goes on from any epoch's state to the same bytes, and leaves no tensor behind", async () => {
  const states: LearnerState[] = [];
  const own = await setting();
  const before = tf.memory().numTensors;
  const { last } = await adapt({ ...own, hooks: { ...own.hooks, save: (state) => Promise.resolve(void states.push(state)) } });
  expect(states).toHaveLength(3);
  for (const state of states) {
    const again = await adapt({ ...own, hooks: { ...own.hooks, resume: state } });
    expect(again.last).toEqual(last);
  }
  expect(tf.memory().numTensors).toBe(before);
  own.encoder.dispose();
});

test("shows each image as it is and augmented, anew in every epoch", async () => {
  const seen: UnlabelledBatch[] = [];
  class Watching extends EntropyObjective {
    override views(batch: UnlabelledBatch): ReturnType<EntropyObjective["views"]> {
      seen.push(batch);
      return super.views(batch);
    }
  }
  const own = await setting({ objective: new Watching(head) });
  await adapt(own);
  own.encoder.dispose();
  const size = side * side * 3;
  const rowsOf = ({ data }: { readonly data: Float32Array }): string[] => Array.from({ length: data.length / size }, (_, row) => data.slice(row * size, (row + 1) * size).join());
  const [weak, strong] = [seen.flatMap((batch) => rowsOf(batch.weak)), seen.flatMap((batch) => rowsOf(batch.strong))];
  expect(weak).toHaveLength(3 * pictures.length);
  expect(new Set(weak).size).toBe(pictures.length);
  expect(new Set([...weak, ...strong]).size).toBeGreaterThan(3 * pictures.length);
});

/** What `trust` was given in each of three epochs. */
async function askedOf(options: Parameters<typeof ufmOptions.parse>[0]): Promise<Float32Array[]> {
  const asked: Float32Array[] = [];
  class Watching extends UfmObjective {
    override trust(predictions: Parameters<UfmObjective["trust"]>[0]): ReturnType<UfmObjective["trust"]> {
      asked.push(predictions.probabilities);
      return super.trust(predictions);
    }
  }
  const own = await setting({ objective: new Watching(head, ufmOptions.parse(options)) });
  await adapt(own);
  own.encoder.dispose();
  expect(asked).toHaveLength(3);
  return asked;
}

test("trusts anew at the start of every epoch, by the model as it is then", async () => {
  const asked = await askedOf({ perClass: 5 });
  expect(asked[0]!.length).toBe(pictures.length * CLASSES);
  expect(asked[1]).not.toEqual(asked[0]);
});

test("as released trusts the predictions of the pre-trained model in every epoch", async () => {
  const asked = await askedOf(plugin.presets!.released);
  expect(asked[1]).toEqual(asked[0]);
  expect(asked[2]).toEqual(asked[0]);
});
