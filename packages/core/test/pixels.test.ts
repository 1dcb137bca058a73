import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HALF_NORMALISATION, imageInputs, InputError, pixelImage, toRgb, type PixelImage } from "@atlas-tv/core";

const gray = (width: number, height: number, values: number[]): PixelImage => ({ width, height, channels: 1, data: Uint8Array.from(values) });

describe("toRgb", () => {
  it("repeats gray, looks palettes up and drops alpha", () => {
    expect([...toRgb(gray(2, 1, [7, 200])).data]).toEqual([7, 7, 7, 200, 200, 200]);
    expect([...toRgb({ ...gray(2, 1, [1, 0]), palette: Uint8Array.of(1, 2, 3, 4, 5, 6) }).data]).toEqual([4, 5, 6, 1, 2, 3]);
    expect([...toRgb({ width: 1, height: 1, channels: 2, data: Uint8Array.of(9, 0) }).data]).toEqual([9, 9, 9]);
    expect([...toRgb({ width: 1, height: 1, channels: 4, data: Uint8Array.of(1, 2, 3, 0) }).data]).toEqual([1, 2, 3]);
  });
});

describe("imageInputs", () => {
  it("lays images out as (batch, height, width, channel)", () => {
    const { data, shape } = imageInputs([gray(2, 1, [0, 255]), gray(2, 1, [255, 0])], HALF_NORMALISATION);
    expect(shape).toEqual([2, 1, 2, 3]);
    expect([...data]).toEqual([-1, -1, -1, 1, 1, 1, 1, 1, 1, -1, -1, -1]);
  });

  it("gives gray and the same image in RGB the same values", () => {
    const bytes = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 12, maxLength: 12 });
    const normalisation = { mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] } as const;
    fc.assert(fc.property(bytes, (values) => {
      const image = gray(4, 3, values);
      expect(imageInputs([image], normalisation)).toEqual(imageInputs([toRgb(image)], normalisation));
    }));
  });

  it("refuses images of different sizes, and none at all", () => {
    expect(() => imageInputs([gray(2, 1, [0, 0]), gray(1, 2, [0, 0])], HALF_NORMALISATION)).toThrow(/1 × 2 pixels/);
    expect(() => imageInputs([], HALF_NORMALISATION)).toThrow(InputError);
  });
});

describe("pixelImage", () => {
  it("refuses data that do not fill the image", () => {
    expect(() => pixelImage(gray(2, 2, [1, 2, 3]), "page.png")).toThrow(/page\.png[\s\S]*3 values[\s\S]*2 × 2 × 1 = 4/);
    expect(() => pixelImage(gray(0, 2, []))).toThrow(/at least 1/);
  });
});
