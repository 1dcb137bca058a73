import { HALF_NORMALISATION, InputError, Random, trainingTransform, validationTransform, type SlicedBatch } from "@atlas-tv/core";
import { describe, expect, it } from "vitest";
import { jointBatchCount, jointBatches, jointShare, laps, memorySource, type JointStream } from "../src/index.js";

const SIZE = 4;

/** `count` images, image i uniformly gray with value first + i, which is also told by its label. */
function stream(name: string, first: number, count: number, augmentation?: "affine"): JointStream {
  const data = new Uint8Array(count * SIZE * SIZE).map((_, at) => first + Math.floor(at / (SIZE * SIZE)));
  const labels = Int32Array.from({ length: count }, (_, i) => i);
  const classNames = Array.from(labels, String);
  const transform =
    augmentation === undefined
      ? validationTransform(SIZE, HALF_NORMALISATION)
      : trainingTransform({ size: SIZE, normalisation: HALF_NORMALISATION, augmentation });
  return { source: memorySource({ name, classNames, labels, width: SIZE, height: SIZE, channels: 1, data }), indices: labels, transform };
}

async function collect(streams: JointStream[], batchSize: number, batches: number, seed = 1, epoch = 1): Promise<SlicedBatch[]> {
  const all: SlicedBatch[] = [];
  for await (const batch of jointBatches({ streams, batchSize, batches, random: new Random(seed), epoch })) all.push(batch);
  return all;
}

/** The gray value of every image of a batch. */
function values({ images }: SlicedBatch): number[] {
  const stride = images.data.length / images.shape[0]!;
  return Array.from({ length: images.shape[0]! }, (_, row) => Math.round((images.data[row * stride]! * 0.5 + 0.5) * 255));
}

describe("batches of several data sets", () => {
  const streams = [stream("long", 0, 20), stream("short", 100, 3)];

  it("hold an equal slice of each, images beside their labels", async () => {
    for (const batch of await collect(streams, 8, 5)) {
      expect(batch.images.shape).toEqual([8, SIZE, SIZE, 3]);
      expect(batch.labels.map(({ length }) => length)).toEqual([4, 4]);
      const [first, second] = batch.labels;
      expect(values(batch)).toEqual([...first!, ...Array.from(second!, (label) => 100 + label)]);
    }
  });

  it("go through the long data set once, and through the short one again and again in whole laps", async () => {
    const batches = await collect(streams, 8, jointBatchCount(20, 8, 2));
    expect(batches.flatMap(({ labels }) => [...labels[0]!]).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    const repeated = batches.flatMap(({ labels }) => [...labels[1]!]);
    for (let lap = 0; lap + 3 <= repeated.length; lap += 3) expect(new Set(repeated.slice(lap, lap + 3)).size).toBe(3);
  });

  it("are the same for the same seed and epoch, augmentation included, and others otherwise", async () => {
    const varied = [stream("long", 0, 20, "affine"), stream("short", 100, 3, "affine")];
    const first = await collect(varied, 8, 5);
    expect(await collect(varied, 8, 5)).toEqual(first);
    expect(await collect(varied, 8, 5, 2)).not.toEqual(first);
    expect(await collect(varied, 8, 5, 1, 2)).not.toEqual(first);
  });

  it("want at least one image to go through", () => {
    expect([...laps(new Int32Array(0), 0, new Random(1))]).toEqual([]);
    expect(() => laps(new Int32Array(0), 3, new Random(1))).toThrow(InputError);
  });

  it("share what divides evenly and drop the rest", () => {
    expect([jointShare(128, 8), jointShare(10, 3), jointBatchCount(7, 10, 3)]).toEqual([16, 3, 3]);
  });

  it("refuse fewer places than data sets, and a data set without images", () => {
    expect(() => jointShare(1, 2)).toThrow(InputError);
    expect(() => jointBatches({ streams: [stream("none", 0, 0)], batchSize: 1, batches: 1, random: new Random(1), epoch: 1 })).toThrow(
      "images of none",
    );
  });
});
