import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputError, Random } from "@atlas-tv/core";
import { fewShots, fraction, oversample, shortClasses, splitEveryClass, splitTrainValidation } from "../src/index.js";

const range = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => i);
const seed = fc.integer();

describe("splitTrainValidation", () => {
  it("is the same for the same seed and another for another", () => {
    expect(splitTrainValidation(200, 0)).toEqual(splitTrainValidation(200, 0));
    expect(splitTrainValidation(200)).toEqual(splitTrainValidation(200, 0));
    expect(splitTrainValidation(200, 0).validation).not.toEqual(splitTrainValidation(200, 1).validation);
  });

  it("puts every image into exactly one part", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 500 }), seed, (n, s) => {
      const { train, validation } = splitTrainValidation(n, s);
      expect(Int32Array.from([...train, ...validation]).sort()).toEqual(range(n));
    }));
  });

  it("begins either part with a fair sample", () => {
    const { train, validation } = splitTrainValidation(60_000);
    for (const part of [train, validation]) {
      const mean = part.subarray(0, 500).reduce((sum, index) => sum + index, 0) / 500;
      // Four standard errors of the mean of 500 uniform draws.
      expect(Math.abs(mean - 30_000)).toBeLessThan((4 * 60_000) / Math.sqrt(12 * 500));
    }
  });
});

describe("splitEveryClass", () => {
  it("takes its share of every class and leaves a class of one whole", () => {
    const labels = Int32Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2]);
    const { first, second } = splitEveryClass(labels, 0.2, new Random(3));
    expect(second.filter((index) => labels[index] === 0).length).toBe(2);
    expect(second.filter((index) => labels[index] === 1).length).toBe(1);
    expect(second.filter((index) => labels[index] === 2).length).toBe(0);
    expect(Int32Array.from([...first, ...second]).sort()).toEqual(range(labels.length));
  });
});

describe("fewShots", () => {
  const labels = Int32Array.from({ length: 300 }, (_, i) => (i * 7) % 5);

  it("takes exactly k distinct images of every class from those allowed, grouped by class", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), seed, (k, s) => {
      const allowed = splitTrainValidation(300, s).train;
      const shots = fewShots(labels, allowed, k, new Random(s));
      expect(shots.length).toBe(5 * k);
      expect(new Set(shots).size).toBe(5 * k);
      expect(shots.every((index) => allowed.includes(index))).toBe(true);
      expect([...shots].map((index) => labels[index])).toEqual(Array.from({ length: 5 * k }, (_, i) => Math.floor(i / k)));
    }), { numRuns: 30 });
  });

  it("nests the shots of smaller k in those of larger k, and differs between seeds", () => {
    const four = new Set(fewShots(labels, range(300), 4, new Random(1)));
    expect([...fewShots(labels, range(300), 1, new Random(1))].every((index) => four.has(index))).toBe(true);
    expect(new Set(fewShots(labels, range(300), 4, new Random(2)))).not.toEqual(four);
  });

  it("chooses every image of a class about equally often", () => {
    const counts = new Int32Array(20);
    const twenty = new Int32Array(20);
    for (let s = 0; s < 2000; s++) for (const index of fewShots(twenty, range(20), 5, new Random(s))) counts[index]!++;
    // Expected 500 each with a binomial deviation of 19.4; five of these.
    expect(Math.max(...counts.map((count) => Math.abs(count - 500)))).toBeLessThan(97);
  });

  it("says which class has too few images and how many it has", () => {
    const three = Int32Array.from([0, 0, 0, 1, 1, 2, 2, 2]);
    const classNames = ["cat", "dog", "eel"];
    expect(() => fewShots(three, range(8), 3, new Random(1), { classNames })).toThrow(/got: 2 images of class "dog"[\s\S]*at least 3[\s\S]*at most 2 shots/);
    expect(() => fewShots(three, range(8), 4, new Random(1), { classNames })).toThrow(/"dog", and 2 more classes/);
    expect(fewShots(three, range(8), 4, new Random(1), { allowShort: true }).length).toBe(8);
  });

  it("lists every class that is short, and only those", () => {
    const three = Int32Array.from([0, 0, 0, 2, 2, 3]);
    expect(shortClasses(three, range(6), 2, 4)).toEqual([{ label: 1, count: 0 }, { label: 3, count: 1 }]);
    expect(shortClasses(three, range(2), 2, 1)).toEqual([]);
  });

  it("counts a class without any image as too small", () => {
    expect(() => fewShots(Int32Array.of(0, 0), range(2), 1, new Random(1), { classNames: ["cat", "dog"] })).toThrow(/0 images of class "dog"/);
  });

  it.each([0, -1, 1.5, NaN])("refuses %s shots", (k) => {
    expect(() => fewShots(labels, range(300), k, new Random(1))).toThrow(InputError);
  });
});

describe("fraction", () => {
  it("takes a share of distinct images, and at least one", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 400 }), fc.double({ min: 0.001, max: 1, noNaN: true }), seed, (n, share, s) => {
      const part = fraction(range(n), share, new Random(s));
      expect(part.length).toBe(Math.max(1, Math.round(share * n)));
      expect(new Set(part).size).toBe(part.length);
    }));
  });

  it.each([0, -0.5, 1.01, NaN])("refuses a share of %s", (share) => {
    expect(() => fraction(range(10), share, new Random(1))).toThrow(InputError);
  });
});

describe("oversample", () => {
  it("refuses an empty list", () => {
    expect(() => oversample(new Int32Array(0), 8)).toThrow(InputError);
  });
});
