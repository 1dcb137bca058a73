import { describe, expect, it } from "vitest";
import {
  HALF_NORMALISATION, imageInputs, InputError, Random, trainingTransform, validationTransform, type ImageSource, type LabelledBatch,
} from "@atlas-tv/core";
import { batchCount, cachedSource, evaluationBatches, labelledBatches, memorySource, subset } from "../src/index.js";

const SIZE = 8;
const COUNT = 23;

/** Image i is uniformly gray with value i, label i mod 3; counts its decodings. */
function countedSource(): ImageSource & { decoded: number } {
  const data = new Uint8Array(COUNT * SIZE * SIZE).map((_, at) => Math.floor(at / (SIZE * SIZE)));
  const labels = Int32Array.from({ length: COUNT }, (_, i) => i % 3);
  const memory = memorySource({ name: "grays", classNames: ["a", "b", "c"], labels, width: SIZE, height: SIZE, channels: 1, data });
  const source = {
    ...memory,
    decoded: 0,
    image: (index: number) => {
      source.decoded++;
      return memory.image(index);
    },
  };
  return source;
}

const plain = validationTransform(SIZE, HALF_NORMALISATION);
const augmented = trainingTransform({ size: SIZE, normalisation: HALF_NORMALISATION, augmentation: "affine" });

async function collect(batches: AsyncIterable<LabelledBatch>): Promise<LabelledBatch[]> {
  const all: LabelledBatch[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

/** The gray value of each image of a batch. */
function values({ images, labels }: LabelledBatch): number[] {
  const stride = images.data.length / labels.length;
  return Array.from(labels, (_, row) => Math.round((images.data[row * stride]! * 0.5 + 0.5) * 255));
}

describe("labelledBatches", () => {
  const options = { batchSize: 5, transform: plain, random: new Random(1), epoch: 1 };

  it("show every index once in an epoch, the last batch short, labels beside their images", async () => {
    const batches = await collect(labelledBatches({ source: countedSource(), ...options }));
    expect(batches.map(({ labels }) => labels.length)).toEqual([5, 5, 5, 5, 3]);
    expect(batches.length).toBe(batchCount(COUNT, 5));
    const seen = batches.flatMap(values);
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: COUNT }, (_, i) => i));
    expect(seen).not.toEqual([...seen].sort((a, b) => a - b));
    for (const batch of batches) expect(values(batch).map((value) => value % 3)).toEqual([...batch.labels]);
  });

  it("repeat an index as often as it is given", async () => {
    const batches = await collect(labelledBatches({ source: countedSource(), indices: Int32Array.of(4, 4, 7), ...options }));
    expect(batches.flatMap(values).sort()).toEqual([4, 4, 7]);
  });

  it("are the same bytes for the same seed and epoch, whatever was drawn before", async () => {
    const used = new Random(1);
    for (let i = 0; i < 100; i++) used.next();
    const first = await collect(labelledBatches({ source: countedSource(), ...options, transform: augmented }));
    const again = await collect(labelledBatches({ source: countedSource(), ...options, transform: augmented, random: used }));
    const epoch2 = await collect(labelledBatches({ source: countedSource(), ...options, transform: augmented, epoch: 2 }));
    expect(again).toEqual(first);
    expect(epoch2).not.toEqual(first);
  });

  it("augment two occurrences of an image differently", async () => {
    const [batch] = await collect(labelledBatches({ source: countedSource(), indices: Int32Array.of(20, 20), ...options, transform: augmented }));
    const { data } = batch!.images;
    expect(data.subarray(0, data.length / 2)).not.toEqual(data.subarray(data.length / 2));
  });

  it("prepare one batch ahead and no more", async () => {
    const source = countedSource();
    const iterator = labelledBatches({ source, ...options });
    await iterator.next();
    await new Promise((resume) => setTimeout(resume, 20));
    expect(source.decoded).toBe(10);
    await iterator.return();
  });

  it("pass on the error of an image, and only to the consumer that reaches it", async () => {
    const source = countedSource();
    const broken: ImageSource = { ...source, image: (index) => (index === 3 ? Promise.reject(new InputError({
      where: "3.png",
      got: "x",
      expected: "y",
    })) : source.image(index)) };
    await expect(collect(labelledBatches({ source: broken, ...options }))).rejects.toThrow(/3\.png/);
    const early = evaluationBatches({ source: broken, batchSize: 2, transform: plain })[Symbol.asyncIterator]();
    expect((await early.next()).done).toBe(false);
    await new Promise((resume) => setTimeout(resume, 20));
  });

  it("refuse an index outside the source and a batch size of 0", () => {
    expect(() => labelledBatches({ source: countedSource(), indices: Int32Array.of(COUNT), ...options })).toThrow(/index 23[\s\S]*0 to 22/);
    expect(() => labelledBatches({ source: countedSource(), ...options, batchSize: 0 })).toThrow(InputError);
  });
});

describe("evaluationBatches", () => {
  it("keep the order and the last short batch, and decode once for any number of passes", async () => {
    const source = countedSource();
    const batches = evaluationBatches({ source, batchSize: 10, transform: plain });
    const first = await collect(batches);
    expect(first.map(({ labels }) => labels.length)).toEqual([10, 10, 3]);
    expect(first.flatMap(values)).toEqual(Array.from({ length: COUNT }, (_, i) => i));
    const second = await collect(batches);
    expect(second).toEqual(first);
    expect(source.decoded).toBe(COUNT);
  });

  it("decode again what the cache does not hold, with the same result", async () => {
    const source = countedSource();
    const batches = evaluationBatches({ source, batchSize: 10, transform: plain, cacheBytes: 10 * SIZE * SIZE });
    const first = await collect(batches);
    expect(await collect(batches)).toEqual(first);
    expect(source.decoded).toBe(COUNT + 13);
  });
});

describe("sources", () => {
  it("in memory add a black border", async () => {
    const source = memorySource({ name: "one", classNames: ["a"], labels: Int32Array.of(0), width: 2, height: 1, channels: 1, data: Uint8Array.of(8, 9), border: 1 });
    const image = await source.image(0);
    expect([image.width, image.height]).toEqual([4, 3]);
    expect([...image.data]).toEqual([0, 0, 0, 0, 0, 8, 9, 0, 0, 0, 0, 0]);
    await expect(source.image(1)).rejects.toThrow(/index 1/);
  });

  it("in memory refuse labels without a name and pixels that do not fit", () => {
    const options = { name: "bad", classNames: ["a"], width: 1, height: 1, channels: 1 } as const;
    expect(() => memorySource({ ...options, labels: Int32Array.of(1), data: Uint8Array.of(0) })).toThrow(/label 1/);
    expect(() => memorySource({ ...options, labels: Int32Array.of(0), data: Uint8Array.of(0, 0) })).toThrow(/2 bytes/);
  });

  it("cut to a subset keep images and labels together", async () => {
    const part = subset(countedSource(), Int32Array.of(5, 22));
    expect([...part.labels]).toEqual([2, 1]);
    const inputs = imageInputs([await part.image(0), await part.image(1)], HALF_NORMALISATION);
    expect(values({ images: inputs, labels: part.labels })).toEqual([5, 22]);
    expect(() => subset(countedSource(), Int32Array.of(COUNT))).toThrow(InputError);
  });

  it("cached decode each image once, up to the limit", async () => {
    const source = countedSource();
    const cached = cachedSource(source, SIZE * SIZE);
    await cached.image(0);
    await cached.image(0);
    expect(source.decoded).toBe(1);
    await cached.image(1);
    await cached.image(1);
    expect(source.decoded).toBe(3);
  });
});
