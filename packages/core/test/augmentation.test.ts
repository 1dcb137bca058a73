import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  affine, flipHorizontally, HALF_NORMALISATION, InputError, Random, randomAffine, randomCropBox, randomResizedCrop, trainingTransform,
  validationTransform, type Augmentation, type PixelImage,
} from "@atlas-tv/core";

const side = fc.integer({ min: 1, max: 300 });
const seed = fc.integer();

function noise(width: number, height: number, channels: 1 | 3, start: number): PixelImage {
  return { width, height, channels, data: Uint8Array.from({ length: width * height * channels }, (_, i) => Math.imul(i + start, 0x9e3779b1) >>> 24) };
}

describe("randomCropBox", () => {
  it("lies inside the image", () => {
    fc.assert(fc.property(side, side, seed, (width, height, s) => {
      const box = randomCropBox(width, height, new Random(s));
      expect(box.width).toBeGreaterThanOrEqual(1);
      expect(box.height).toBeGreaterThanOrEqual(1);
      expect(box.left).toBeGreaterThanOrEqual(0);
      expect(box.top).toBeGreaterThanOrEqual(0);
      expect(box.left + box.width).toBeLessThanOrEqual(width);
      expect(box.top + box.height).toBeLessThanOrEqual(height);
    }));
  });

  it("keeps to the ranges of area and ratio, up to rounding to pixels", () => {
    const large = fc.integer({ min: 200, max: 300 });
    fc.assert(fc.property(large, large, seed, (width, height, s) => {
      const box = randomCropBox(width, height, new Random(s), { scale: [0.2, 0.5] });
      const share = (box.width * box.height) / (width * height);
      expect(share).toBeGreaterThan(0.2 * 0.97);
      expect(share).toBeLessThan(0.5 * 1.03);
      expect(box.width / box.height).toBeGreaterThan(0.75 * 0.97);
      expect(box.width / box.height).toBeLessThan((4 / 3) * 1.03);
    }));
  });

  it("draws areas and log ratios uniformly and positions over the whole image", () => {
    const random = new Random("crops");
    const boxes = Array.from({ length: 4000 }, () => randomCropBox(1000, 1000, random, { scale: [0.1, 0.3] }));
    const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    // A uniform variable of width w has a standard deviation of w / √12; four standard errors either way.
    const near = (values: number[], centre: number, width: number): void =>
      expect(Math.abs(mean(values) - centre)).toBeLessThan((4 * width) / Math.sqrt(12 * values.length));
    near(boxes.map(({ width, height }) => (width * height) / 1e6), 0.2, 0.2);
    near(boxes.map(({ width, height }) => Math.log(width / height)), 0, 2 * Math.log(4 / 3));
    near(boxes.map(({ left, width }) => left / (1000 - width)), 0.5, 1);
    near(boxes.map(({ top, height }) => top / (1000 - height)), 0.5, 1);
  });

  it("falls back to the largest box of an allowed ratio in the middle of an image too long for any other", () => {
    expect(randomCropBox(1000, 10, new Random(1))).toEqual({ left: 493, top: 0, width: 13, height: 10 });
    expect(randomCropBox(10, 1000, new Random(1))).toEqual({ left: 0, top: 493, width: 10, height: 13 });
  });

  it("refuses a range that is none", () => {
    expect(() => randomCropBox(10, 10, new Random(1), { scale: [0.9, 0.5] })).toThrow(InputError);
    expect(() => randomCropBox(10, 10, new Random(1), { ratio: [0, 1] })).toThrow(InputError);
  });
});

describe("randomResizedCrop", () => {
  it("of the whole image at its own size is the image", () => {
    const image = noise(32, 32, 3, 5);
    expect(randomResizedCrop(image, 32, new Random(1), { scale: [1, 1], ratio: [1, 1] }).data).toEqual(image.data);
  });
});

describe("flipHorizontally", () => {
  it("mirrors pixels, not channels, and undoes itself", () => {
    const pair: PixelImage = { width: 2, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    expect([...flipHorizontally(pair).data]).toEqual([4, 5, 6, 1, 2, 3]);
    const image = noise(7, 5, 3, 1);
    expect(flipHorizontally(flipHorizontally(image)).data).toEqual(image.data);
  });
});

describe("affine", () => {
  it("without motion is the image", () => {
    const image = noise(9, 7, 3, 2);
    expect(affine(image, { degrees: 0, scale: 1, shiftX: 0, shiftY: 0 }).data).toEqual(image.data);
  });

  it("shifts right and down by whole pixels and fills what comes in", () => {
    const image: PixelImage = { width: 3, height: 2, channels: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    expect([...affine(image, { degrees: 0, scale: 1, shiftX: 1, shiftY: 0 }, 9).data]).toEqual([9, 1, 2, 9, 4, 5]);
    expect([...affine(image, { degrees: 0, scale: 1, shiftX: 0, shiftY: 1 }, 9).data]).toEqual([9, 9, 9, 1, 2, 3]);
    expect([...affine(image, { degrees: 0, scale: 1, shiftX: 0.5, shiftY: 0 }).data]).toEqual([1, 2, 3, 2, 5, 6]);
  });

  it("turns by a right angle clockwise", () => {
    const image: PixelImage = { width: 2, height: 2, channels: 1, data: Uint8Array.of(1, 2, 3, 4) };
    expect([...affine(image, { degrees: 90, scale: 1, shiftX: 0, shiftY: 0 }).data]).toEqual([3, 1, 4, 2]);
  });

  it("fills each channel with its own value", () => {
    const image: PixelImage = { width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3) };
    expect([...affine(image, { degrees: 0, scale: 1, shiftX: 5, shiftY: 0 }, [7, 8, 9]).data]).toEqual([7, 8, 9]);
  });

  it("enlarges about the centre", () => {
    const centre = (y: number, x: number): boolean => y >= 8 && y < 24 && x >= 8 && x < 24;
    const data = Uint8Array.from({ length: 1024 }, (_, i) => (centre(i >> 5, i & 31) ? 200 : 0));
    const square: PixelImage = { width: 32, height: 32, channels: 1, data };
    const sum = (image: PixelImage): number => image.data.reduce((total, value) => total + value, 0);
    const ratio = sum(affine(square, { degrees: 0, scale: 1.5, shiftX: 0, shiftY: 0 })) / sum(square);
    expect(ratio).toBeGreaterThan(2.2);
    expect(ratio).toBeLessThan(2.3);
  });

  it("by soft random motions keeps the centre of mass within a tenth of the side and the light of a small blob", () => {
    const blob: PixelImage = { width: 32, height: 32, channels: 1, data: new Uint8Array(1024) };
    for (let y = 13; y < 19; y++) for (let x = 13; x < 19; x++) blob.data[y * 32 + x] = 240;
    const total = 36 * 240;
    fc.assert(fc.property(seed, (s) => {
      const { data } = randomAffine(blob, new Random(s));
      let mass = 0;
      let mx = 0;
      let my = 0;
      data.forEach((value, i) => { mass += value; mx += value * (i & 31); my += value * (i >> 5); });
      expect(Math.abs(mx / mass - 15.5)).toBeLessThan(3.3);
      expect(Math.abs(my / mass - 15.5)).toBeLessThan(3.3);
      expect(mass / total).toBeGreaterThan(0.81 * 0.95);
      expect(mass / total).toBeLessThan(1.21 * 1.05);
    }));
  });
});

describe("transforms", () => {
  const sizes = fc.integer({ min: 2, max: 60 });
  const augmentations = fc.constantFrom<Augmentation>("none", "crop-flip", "affine");

  it("give squares of their size, the same for the same seed", () => {
    fc.assert(fc.property(sizes, sizes, fc.constantFrom<1 | 3>(1, 3), augmentations, seed, (width, height, channels, augmentation, s) => {
      const transform = trainingTransform({ size: 16, normalisation: HALF_NORMALISATION, augmentation });
      const image = noise(width, height, channels, 3);
      const pixels = transform.pixels(image, new Random(s));
      expect([pixels.width, pixels.height, pixels.channels]).toEqual([16, 16, channels]);
      expect(transform.pixels(image, new Random(s)).data).toEqual(pixels.data);
    }));
  });

  it("of crop-flip mirror about half of the images", () => {
    const transform = trainingTransform({ size: 8, normalisation: HALF_NORMALISATION, crop: { scale: [1, 1], ratio: [1, 1] } });
    const image = noise(8, 8, 1, 9);
    const mirrored = flipHorizontally(image);
    const random = new Random("flips");
    let flips = 0;
    for (let i = 0; i < 1000; i++) {
      const { data } = transform.pixels(image, random);
      const flipped = data.every((value, at) => value === mirrored.data[at]);
      expect(flipped || data.every((value, at) => value === image.data[at])).toBe(true);
      if (flipped) flips++;
    }
    // Four standard deviations of a fair coin.
    expect(Math.abs(flips - 500)).toBeLessThan(64);
  });

  it("for evaluation leave an image of the right size alone", () => {
    const image = noise(16, 16, 3, 4);
    expect(validationTransform(16, HALF_NORMALISATION).pixels(image, new Random(0)).data).toEqual(image.data);
  });
});
