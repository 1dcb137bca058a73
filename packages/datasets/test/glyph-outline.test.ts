import { describe, expect, it } from "vitest";
import { Random } from "@atlas-tv/core";
import { isUnicase } from "../src/glyph-fonts.js";
import { outlineOf, placement, rasterise, type Outline, type OutlineCommand } from "../src/glyph-outline.js";
import { noisyChalk, onStreet, onTexture, rotated, slantedChalk } from "../src/glyph-styles.js";

/** A closed rectangle; `reverse` turns it the other way round. */
function rectangle(left: number, bottom: number, right: number, top: number, reverse = false): OutlineCommand[] {
  const corners = [[left, bottom], [right, bottom], [right, top], [left, top]] as const;
  const [first, ...rest] = reverse ? [...corners].reverse() : corners;
  return [{ type: "M", x: first![0], y: first![1] }, ...rest.map(([x, y]): OutlineCommand => ({ type: "L", x, y })), { type: "Z" }];
}

function outline(...commands: OutlineCommand[][]): Outline {
  const made = outlineOf(commands.flat());
  if (made === null) throw new Error("nothing drawn");
  return made;
}

/** Ink in pixels. */
const area = (mask: Uint8Array): number => mask.reduce((sum, value) => sum + value, 0) / 255;

const size = 32;
const centred = placement({ scaleX: 10, x: 16, y: 16 });

describe("an outline", () => {
  it("is fitted to its box whatever its units", () => {
    const tall = outline(rectangle(100, -300, 300, 500));
    expect([tall.halfWidth, tall.halfHeight]).toEqual([0.25, 1]);
    expect(outlineOf([])).toBeNull();
    expect(outlineOf([{ type: "M", x: 3, y: 3 }, { type: "Z" }])).toBeNull();
  });

  it("fills exactly the pixels inside", () => {
    const mask = rasterise(outline(rectangle(0, 0, 7, 7)), centred, size);
    mask.forEach((value, pixel) => {
      const [x, y] = [pixel % size, Math.floor(pixel / size)];
      expect(value).toBe(x >= 6 && x < 26 && y >= 6 && y < 26 ? 255 : 0);
    });
  });

  it("covers a pixel by the share that lies inside", () => {
    const mask = rasterise(outline(rectangle(0, 0, 1, 1)), placement({ scaleX: 10, x: 16.5, y: 16 }), size);
    expect(mask[16 * size + 6]).toBe(128);
    expect(area(mask)).toBeCloseTo(400, 0);
  });

  it("keeps a hole that is drawn the other way round, and counts overlapping strokes once", () => {
    const ring = outline(rectangle(0, 0, 20, 20), rectangle(5, 5, 15, 15, true));
    expect(area(rasterise(ring, centred, size))).toBeCloseTo(400 - 100, 0);
    const cross = outline(rectangle(0, 8, 20, 12), rectangle(8, 0, 12, 20));
    expect(area(rasterise(cross, centred, size))).toBeCloseTo(80 + 80 - 16, 0);
  });

  it("follows quadratic and cubic curves", () => {
    const bulge: OutlineCommand[] = [{ type: "M", x: -1, y: 0 }, { type: "Q", x1: 0, y1: 2, x: 1, y: 0 }, { type: "Z" }];
    const cubic: OutlineCommand[] = [{ type: "M", x: -1, y: 0 }, { type: "C", x1: -1 / 3, y1: 4 / 3, x2: 1 / 3, y2: 4 / 3, x: 1, y: 0 }, { type: "Z" }];
    // A parabola arc of base 2 and height 1 encloses 4/3; the cubic is the same curve.
    const [quadraticArea, cubicArea] = [bulge, cubic].map((commands) => area(rasterise(outline(commands), centred, size)) / 100);
    expect(quadraticArea).toBeGreaterThan(4 / 3 - 0.06);
    expect(quadraticArea).toBeLessThanOrEqual(4 / 3 + 0.01);
    expect(cubicArea).toBeCloseTo(quadraticArea!, 2);
  });

  it("is cut at the picture's edge", () => {
    const mask = rasterise(outline(rectangle(0, 0, 1, 1)), placement({ scaleX: 10, x: 0, y: 32 }), size);
    expect(area(mask)).toBeCloseTo(100, 0);
  });

  it("turns clockwise on the screen by a positive angle", () => {
    const bar = outline(rectangle(0, 0, 10, 2));
    const mask = rasterise(bar, placement({ scaleX: 10, angle: Math.PI / 4, x: 16, y: 16 }), size);
    expect(mask[21 * size + 21]).toBe(255);
    expect(mask[21 * size + 10]).toBe(0);
  });
});

describe("a face", () => {
  const ell = [...rectangle(0, 0, 2, 10), ...rectangle(0, 0, 8, 2)];
  const tee = [...rectangle(4, 0, 6, 10), ...rectangle(0, 8, 10, 10)];
  const face = (small: OutlineCommand[], capital: OutlineCommand[]): Map<string, Outline> =>
    new Map([..."aegrbd"].flatMap((letter): [string, Outline][] => [[letter, outline(small)], [letter.toUpperCase(), outline(capital)]]));

  it("is unicase where small letters have the capitals' shape, whatever their width", () => {
    expect(isUnicase(face(ell, ell))).toBe(true);
    expect(isUnicase(face(ell.map((command) => ("x" in command ? { ...command, x: command.x / 2 } : command)), ell))).toBe(true);
    expect(isUnicase(face(ell, tee))).toBe(false);
  });
});

describe("a style", () => {
  const glyph = outline(rectangle(0, 0, 4, 10), rectangle(4, 0, 8, 3));

  it.each(Object.entries({ onTexture, noisyChalk, onStreet, slantedChalk, rotated }))("%s gives the same RGB picture for the same seed", (_, style) => {
    const [first, again, other] = [1, 1, 2].map((seed) => style(glyph, new Random(seed), () => glyph));
    expect(first).toHaveLength(size * size * 3);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(new Set(first).size).toBeGreaterThan(4);
  });
});
