import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HALF_NORMALISATION, Random, trainingTransform, type ImageTransform, type LabelledBatch } from "@atlas-tv/core";
import { encode } from "fast-png";
import { afterAll, describe, expect, it } from "vitest";
import { imageFolder, labelledBatches, memorySource, PixelWorkers, transformHere, type PixelRunner } from "../src/node.js";

const SIDE = 12;
const workers = new PixelWorkers(2);
const folder = mkdtempSync(join(tmpdir(), "atlas-pixels-"));

afterAll(async () => {
  await workers.end();
  rmSync(folder, { recursive: true, force: true });
});

const pixels = (image: number): Uint8Array => Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => (i * 7 + image * 31) % 256);

for (const [label, name] of ["left", "right"].entries()) {
  mkdirSync(join(folder, name));
  for (let image = 0; image < 6; image++) {
    writeFileSync(join(folder, name, `${image}.png`), encode({ width: SIDE, height: SIDE, channels: 3, data: pixels(6 * label + image) }));
  }
}

const inMemory = memorySource({
  name: "memory", classNames: ["a", "b"], labels: Int32Array.from({ length: 10 }, (_, i) => i % 2),
  width: SIDE, height: SIDE, channels: 3, data: Uint8Array.from(Array.from({ length: 10 }, (_, i) => [...pixels(i)]).flat()),
});

const transformOf = (augmentation: "affine" | "crop-flip"): ImageTransform =>
  trainingTransform({ size: 8, normalisation: HALF_NORMALISATION, augmentation });

async function batches(runner: PixelRunner, source = inMemory, transform = transformOf("affine"), epoch = 1): Promise<LabelledBatch[]> {
  const all: LabelledBatch[] = [];
  const options = { source, batchSize: 4, transform, random: new Random(5), epoch, pixels: runner };
  for await (const batch of labelledBatches(options)) all.push(batch);
  return all;
}

describe("pixel workers", () => {
  it.each(["affine", "crop-flip"] as const)("give the bytes that the calling thread gives, with the augmentation %s", async (augmentation) => {
    const transform = transformOf(augmentation);
    expect(await batches(workers, inMemory, transform)).toEqual(await batches(transformHere, inMemory, transform));
    // What was handed over is still whole.
    expect(await batches(workers, inMemory, transform)).toEqual(await batches(workers, inMemory, transform));
  });

  it("copy images that lie in a file's buffer", async () => {
    const bytes = Buffer.concat(Array.from({ length: 10 }, (_, i) => pixels(i)));
    const buffered = memorySource({
      name: "buffer", classNames: ["a", "b"], labels: inMemory.labels, width: SIDE, height: SIDE, channels: 3, data: bytes,
    });
    expect(await batches(workers, buffered)).toEqual(await batches(transformHere));
    expect(bytes.length).toBe(10 * SIDE * SIDE * 3);
  });

  it("decode the files of a folder, in every epoch the same", async () => {
    const { train } = await imageFolder(folder);
    expect(train.encoded).toBeDefined();
    for (const epoch of [1, 2]) {
      expect(await batches(workers, train, transformOf("affine"), epoch)).toEqual(await batches(transformHere, train, transformOf("affine"), epoch));
    }
  });

  it("work in another thread, but for a transform that is no data", async () => {
    const refuse = (): never => {
      throw new Error("transformed in the calling thread");
    };
    const elsewhere = { ...transformOf("affine"), pixels: refuse };
    expect(await batches(workers, inMemory, elsewhere)).toEqual(await batches(transformHere));
    const { recipe: _, ...ofItsOwn } = elsewhere;
    await expect(batches(workers, inMemory, ofItsOwn)).rejects.toThrow("calling thread");
    const { train } = await imageFolder(folder);
    const { recipe: __, ...plain } = transformOf("affine");
    expect(await batches(workers, train, plain)).toEqual(await batches(transformHere, train));
  });

  it("pass on the error of a damaged file with all it says", async () => {
    const { train } = await imageFolder(folder);
    const broken = { ...train, encoded: async () => ({ bytes: Uint8Array.of(1, 2, 3), where: "broken.png" }) };
    await expect(batches(workers, broken)).rejects.toMatchObject({ name: "InputError", facts: { where: "broken.png", expected: "a PNG or JPEG image" } });
  });

  it("start again after they were ended, and reject what waited then", async () => {
    const own = new PixelWorkers(1);
    expect(await batches(own)).toEqual(await batches(transformHere));
    // So many that the thread is not done before it is ended.
    const many = await Promise.all(Array.from({ length: 5000 }, () => inMemory.image(0)));
    const waiting = own.run(many, transformOf("affine"), new Random(1));
    const outcome = expect(waiting).rejects.toThrow("ended");
    await own.end();
    await outcome;
    expect(await batches(own)).toEqual(await batches(transformHere));
    await own.end();
  });
});
