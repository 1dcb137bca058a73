import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it, vi } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  AbortedError, blockwise, chooseAtRandom, chooseBlocks, chooseVectors, coefficientsOfSources, composeWeights, CrossEntropyObjective, difference,
  featureSimilarity, gradientScores, InputError, loadChosen, PlainBackend, Random, randomParameters, scoresOfVectors, sourcesOf,
  type LabelledBatch, type NamedArrays, type TaskVector, type TaskVectorSource,
} from "../src/index.js";
import { closeTo } from "./fixture-files.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

const spec = visionSpec({
  embed_dim: 4,
  vision_cfg: { image_size: 4, layers: 1, width: 8, head_width: 4, patch_size: 2 },
  text_cfg: { context_length: 2, vocab_size: 4, width: 4, heads: 1, layers: 1 },
});
const m = spec.blocks.length;
const base = randomParameters(spec, new Random("base"));
const all = Array.from({ length: 5 }, (_, i) => difference(`tv${i}`, base, randomParameters(spec, new Random(i)), "F32"));

/** The vectors one at a time, which were read, and how many blocks of them. */
function source(): TaskVectorSource & { reads: number[]; blocks: number[] } {
  const reads: number[] = [];
  const blocks: number[] = [];
  return {
    names: all.map(({ name }) => name),
    reads,
    blocks,
    load: (index, only) => {
      const { name, blocks: whole } = all[index]!;
      const read = new Map([...whole].filter(([block]) => only?.has(block) ?? true));
      reads.push(index);
      blocks.push(read.size);
      return Promise.resolve({ name, blocks: read });
    },
  };
}

describe("choosing task vectors", () => {
  it("takes the highest scores, the first of equals", () => {
    expect(chooseVectors([1, 5, 3, 5], 3, 2).map((row) => [...row])).toEqual([[1, 1], [3, 3], [2, 2]]);
  });

  it("takes the highest scores of every block, and may mix vectors", () => {
    // Three vectors, two blocks.
    const scores = Float32Array.of(1, 9, 2, 7, 3, 8);
    expect(chooseBlocks(scores, 2, 2).map((row) => [...row])).toEqual([[2, 0], [1, 2]]);
    expect([...scoresOfVectors(scores, 2)]).toEqual([10, 9, 11]);
  });

  it("at random takes different vectors, the same for the same seed", () => {
    const rows = chooseAtRandom(6, 4, 2, new Random(3)).map((row) => row[0]!);
    expect(new Set(rows).size).toBe(4);
    expect(chooseAtRandom(6, 4, 2, new Random(3)).map((row) => row[0]!)).toEqual(rows);
  });

  it.each([0, 1.5, 4])("refuses a budget of %d among three", (budget) => {
    expect(() => chooseVectors([1, 2, 3], budget, 1)).toThrow(InputError);
  });

  it("compares features by their cosine", () => {
    expect(featureSimilarity(Float32Array.of(1, 0), Float32Array.of(3, 0))).toBe(1);
    expect(featureSimilarity(Float32Array.of(1, 0), Float32Array.of(0, 2))).toBe(0);
    expect(featureSimilarity(Float32Array.of(1, 0), Float32Array.of(0, 0))).toBe(0);
  });
});

describe("the vectors of a choice", () => {
  const choice = [Int32Array.from({ length: m }, (_, j) => (j % 2 === 0 ? 3 : 1)), new Int32Array(m).fill(4)];

  it("hold the chosen blocks, and every vector that is needed was read once", async () => {
    const vectors = source();
    const [mixed, whole] = (await loadChosen(choice, spec.blocks, vectors)) as [TaskVector, TaskVector];
    expect(vectors.reads).toEqual([1, 3, 4]);
    // Of the mixed vector's two sources the half that is chosen: at no moment more than two vectors' blocks.
    expect(vectors.blocks).toEqual([Math.floor(m / 2), Math.ceil(m / 2), m]);
    spec.blocks.forEach(({ name }, j) => expect(mixed.blocks.get(name), name).toBe(all[choice[0]![j]!]!.blocks.get(name)));
    expect([mixed.name, whole.name]).toEqual(["mixed 1", "tv4"]);
  });

  it("compose the model that the coefficients of their sources compose", async () => {
    const coef = Float32Array.from({ length: 2 * m }, (_, i) => Math.sin(i + 1));
    const chosen = await composeWeights(spec.blocks, base, await loadChosen(choice, spec.blocks, source()), blockwise(), { coef });
    const own = sourcesOf(choice).map((index) => all[index]!);
    const same = await composeWeights(spec.blocks, base, own, blockwise(), { coef: coefficientsOfSources(choice, coef) });
    for (const { name } of spec.blocks) closeTo(chosen.get(name)!.data, same.get(name)!.data, 1e-6, name);
  });
});

describe.each(PLAIN_BACKENDS)("gradient scores on tfjs-%s", (name) => {
  const backend = new PlainBackend(name);
  const objective = new CrossEntropyObjective({ name: "two", classNames: ["a", "b"], width: 4, weight: Float32Array.from({ length: 8 }, (_, i) => Math.cos(i)) });
  const draws = new Random("pixels");
  const batches: LabelledBatch[] = [2, 3].map((count) => ({
    images: { data: Float32Array.from({ length: count * 48 }, () => draws.normal()), shape: [count, 4, 4, 3] },
    labels: Int32Array.from({ length: count }, (_, i) => i % 2),
  }));
  const scores = async (budget: number, vectors: TaskVectorSource, more: { microBatch?: number; signal?: AbortSignal } = {}): Promise<Float32Array> => {
    await backend.activate();
    const encoder = await backend.compile(spec, base, [], blockwise());
    let most = 0;
    const counted = {
      ...vectors,
      load: (index: number) => {
        // Read into a group that starts empty: the encoder holds none of the last one.
        most = Math.max(most, encoder.vectorCount);
        return vectors.load(index);
      },
    };
    const before = tf.memory().numTensors;
    const found = await gradientScores({ encoder, vectors: counted, budget, objective, batches: () => batches, ...more });
    expect(tf.memory().numTensors).toBe(before);
    expect(most).toBe(0);
    encoder.dispose();
    return found;
  };

  it("are the same whatever the groups, and every vector is read once", async () => {
    const vectors = source();
    const inPairs = await scores(2, vectors);
    expect(vectors.reads).toEqual([0, 1, 2, 3, 4]);
    closeTo(inPairs, await scores(5, source()), 1e-5);
    expect(inPairs.length).toBe(5 * m);
    expect(inPairs.every((value) => value >= 0)).toBe(true);
  });

  it("are the same whatever is computed at once", async () => {
    const whole = await scores(5, source());
    const most: number[] = [];
    const compile = backend.compile.bind(backend);
    const watched = vi.spyOn(backend, "compile").mockImplementation(async (...given) => {
      const encoder = await compile(...given);
      const compose = encoder.compose.bind(encoder);
      return Object.assign(encoder, {
        compose: async (coefficients: NamedArrays) => {
          const composed = await compose(coefficients);
          const forward = composed.forward.bind(composed);
          return Object.assign(composed, { forward: (inputs: tf.Tensor) => { most.push(inputs.shape[0]!); return forward(inputs); } });
        },
      });
    });
    closeTo(await scores(5, source(), { microBatch: 1 }), whole, 1e-5);
    expect([...new Set(most)]).toEqual([1]);
    watched.mockRestore();
  });

  it("stop at a signal", async () => {
    await expect(scores(5, source(), { signal: AbortSignal.abort() })).rejects.toBeInstanceOf(AbortedError);
  });
});
