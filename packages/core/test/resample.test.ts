import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { centreCrop, crop, resize, resizeShorterSide, roundHalfEven, toRgb, type PixelImage } from "@atlas-tv/core";

const side = fc.integer({ min: 1, max: 40 });
const channelCount = fc.constantFrom<PixelImage["channels"]>(1, 2, 3, 4);

function image(width: number, height: number, channels: PixelImage["channels"], value: (i: number) => number): PixelImage {
  return { width, height, channels, data: Uint8Array.from({ length: width * height * channels }, (_, i) => value(i)) };
}

describe("roundHalfEven", () => {
  it("sends halves to the even neighbour, as Python's round does", () => {
    expect([0.5, 1.5, 2.5, 3.5, -0.5, -1.5].map((value) => roundHalfEven(value) + 0)).toEqual([0, 2, 2, 4, 0, -2]);
    expect([0.49, 0.51, 1.2, 2.7].map(roundHalfEven)).toEqual([0, 1, 1, 3]);
  });
});

describe("resize", () => {
  it("keeps a uniform image uniform", () => {
    fc.assert(fc.property(side, side, side, side, channelCount, fc.integer({ min: 0, max: 255 }), (w, h, toW, toH, channels, value) => {
      const opaque = channels === 1 || channels === 3;
      const resized = resize(image(w, h, channels, (i) => (!opaque && i % channels === channels - 1 ? 255 : value)), toW, toH);
      const rgb = toRgb(resized);
      expect(rgb.data.every((byte) => byte === value)).toBe(true);
      expect(rgb.data.length).toBe(toW * toH * 3);
    }));
  });

  it("treats channels alike", () => {
    fc.assert(fc.property(side, side, side, side, fc.integer(), (w, h, toW, toH, seed) => {
      const gray = image(w, h, 1, (i) => Math.imul(i + 1, seed) >>> 24);
      expect(resize(toRgb(gray), toW, toH).data).toEqual(toRgb(resize(gray, toW, toH)).data);
    }));
  });

  it("treats rows and columns alike", () => {
    fc.assert(fc.property(side, side, side, fc.integer(), (w, h, toW, seed) => {
      const original = image(w, h, 1, (i) => Math.imul(i + 1, seed) >>> 24);
      const transpose = ({ width, height, data }: PixelImage): PixelImage =>
        image(height, width, 1, (i) => data[(i % height) * width + Math.floor(i / height)]!);
      expect(transpose(resize(original, toW, h)).data).toEqual(resize(transpose(original), h, toW).data);
    }));
  });

  it("takes palette indices from the nearest pixel and invents none", () => {
    const palette = Uint8Array.from({ length: 30 }, (_, i) => i * 8);
    fc.assert(fc.property(side, side, side, side, (w, h, toW, toH) => {
      const indexed = { ...image(w, h, 1, (i) => i % 10), palette };
      const resized = resize(indexed, toW, toH);
      expect(resized.palette).toBe(palette);
      expect([...resized.data].every((index) => indexed.data.includes(index))).toBe(true);
    }));
  });

  it("lets a transparent colour not bleed into an opaque one", () => {
    const half: PixelImage = image(8, 1, 4, (i) => (Math.floor(i / 4) < 4 ? [0, 0, 0, 0][i % 4]! : [200, 100, 50, 255][i % 4]!));
    const { data } = resize(half, 4, 1);
    for (let x = 0; x < 4; x++) {
      if (data[x * 4 + 3]! > 20) expect(Math.abs(data[x * 4]! - 200)).toBeLessThanOrEqual(6);
    }
  });
});

describe("crop and shorter side", () => {
  it("crops the rectangle asked for", () => {
    const original = image(4, 3, 1, (i) => i);
    expect([...crop(original, { left: 1, top: 1, width: 2, height: 2 }).data]).toEqual([5, 6, 9, 10]);
  });

  it("gives a square of the size asked for, whatever the image", () => {
    fc.assert(fc.property(side, side, side, (w, h, size) => {
      const resized = resizeShorterSide(image(w, h, 1, (i) => i & 255), size);
      expect(Math.min(resized.width, resized.height)).toBe(size);
      const square = centreCrop(resized, size);
      expect([square.width, square.height]).toEqual([size, size]);
    }));
  });
});
