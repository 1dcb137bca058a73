import { Random, validationTransform, trainingTransform, type TrustedSet, type UnlabelledBatch, type UnlabelledSource } from "@atlas-tv/core";
import { describe, expect, it } from "vitest";
import { unlabelledBatches, type UnlabelledBatchOptions } from "../src/index.js";

const SIDE = 8;
const NORMALISATION = { mean: [0, 0, 0], std: [1, 1, 1] } as const;

/** Images that show their index. */
function numbered(length: number): UnlabelledSource {
  return { name: "numbered", length, image: (index) => Promise.resolve({ width: SIDE, height: SIDE, channels: 1, data: new Uint8Array(SIDE * SIDE).fill(index) }) };
}

function options(length: number, trusted: readonly number[], more: Partial<UnlabelledBatchOptions> = {}): UnlabelledBatchOptions {
  const set: TrustedSet = { indices: Int32Array.from(trusted), labels: Int32Array.from(trusted, (index) => index % 3) };
  return {
    source: numbered(length), trusted: set, batchSize: 8,
    weak: validationTransform(SIDE, NORMALISATION), strong: trainingTransform({ size: SIDE, normalisation: NORMALISATION, augmentation: "affine" }),
    random: new Random(1), epoch: 1, ...more,
  };
}

/** The indices that a batch's weak view shows. */
function shown({ weak }: UnlabelledBatch): number[] {
  const [rows = 0] = weak.shape;
  const stride = weak.data.length / rows;
  return Array.from({ length: rows }, (_, row) => Math.round(weak.data[row * stride]! * 255));
}

async function all(given: UnlabelledBatchOptions): Promise<UnlabelledBatch[]> {
  const { batches, count } = unlabelledBatches(given);
  const made: UnlabelledBatch[] = [];
  for await (const batch of batches) made.push(batch);
  expect(made).toHaveLength(count);
  return made;
}

describe("batches without labels", () => {
  it("are a quarter trusted, with pseudo-labels, and show every other image at most once", async () => {
    const trusted = [3, 10, 17, 24, 31];
    const batches = await all(options(40, trusted));
    const others = batches.flatMap((batch) => shown(batch).filter((_index, row) => batch.trusted[row] === -1));
    for (const batch of batches) {
      expect(batch.trusted.filter((label) => label >= 0)).toHaveLength(2);
      shown(batch).forEach((index, row) => {
        expect(batch.trusted[row]).toBe(trusted.includes(index) ? index % 3 : -1);
      });
    }
    // 35 others in shares of six: the last five are left out.
    expect(others).toHaveLength(30);
    expect(new Set(others).size).toBe(30);
  });

  it("show the same image in both views, the second one augmented", async () => {
    const [batch] = await all(options(40, [1, 2, 3, 4]));
    const { weak, strong } = batch!;
    expect(strong.shape).toEqual(weak.shape);
    expect(strong.data).not.toEqual(weak.data);
    const stride = weak.data.length / weak.shape[0]!;
    const middle = (SIDE / 2) * SIDE * 3 + (SIDE / 2) * 3;
    shown(batch!).forEach((_index, row) => { expect(strong.data[row * stride + middle]).toBeCloseTo(weak.data[row * stride]!, 2); });
  });

  it("without any trusted image show every image once", async () => {
    const batches = await all(options(20, []));
    expect(batches.flatMap(shown).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(batches.every(({ trusted }) => trusted.every((label) => label === -1))).toBe(true);
  });

  it("of trusted images alone show each once", async () => {
    const batches = await all(options(10, Array.from({ length: 10 }, (_, index) => index)));
    expect(batches.flatMap(shown).sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, index) => index));
  });

  it("with fewer others than a share are one batch of them all, a quarter of it trusted, drawn anew in every epoch", async () => {
    const trusted = [0, 1, 2, 3, 4, 5, 6, 7];
    const drawn: number[][] = [];
    for (let epoch = 1; epoch <= 8; epoch++) {
      const batches = await all(options(10, trusted, { epoch }));
      expect(batches).toHaveLength(1);
      const [first, second, ...more] = shown(batches[0]!);
      expect([first, second]).toEqual([8, 9]);
      expect(more).toHaveLength(1);
      drawn.push(more);
    }
    // Of eight images that are sorted by class, not always the first.
    expect(new Set(drawn.flat()).size).toBeGreaterThan(3);
    const [batch] = await all(options(12, trusted));
    expect(batch!.trusted.filter((label) => label >= 0)).toHaveLength(2);
    expect(shown(batch!).slice(0, 4)).toEqual([8, 9, 10, 11]);
  });

  it("take the trusted quarter from what is named for it, whichever images are trusted", async () => {
    const every = Array.from({ length: 40 }, (_, index) => index);
    const { trusted, ...more } = options(40, every);
    const batches = await all({ ...more, trusted: { ...trusted!, quarter: Int32Array.of(3, 3, 10, 17) } });
    expect(batches).toHaveLength(6);
    for (const batch of batches) {
      expect(batch.trusted.every((label) => label >= 0)).toBe(true);
      expect(shown(batch).filter((index) => [3, 10, 17].includes(index))).toHaveLength(2);
    }
  });

  it("are the same for the same seed, epoch and trusted set, and others for another epoch", async () => {
    const [first, again, later] = [await all(options(40, [1, 2])), await all(options(40, [1, 2])), await all(options(40, [1, 2], { epoch: 2 }))];
    expect(again).toEqual(first);
    expect(later).not.toEqual(first);
  });

  it("are refused without images and for batches that have no quarter", () => {
    expect(() => unlabelledBatches(options(0, []))).toThrow("expected: at least one");
    expect(() => unlabelledBatches(options(20, [1], { batchSize: 3 }))).toThrow("at least 4");
  });
});
