import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode } from "fast-png";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { InputError, Random } from "@atlas-tv/core";
import { emojiCatalogue } from "../src/emoji-catalogue.js";
import { drawSvg, onGround, readEmojiPicture } from "../src/emoji-pictures.js";
import { SLIGHT_VARIATION, varied } from "../src/emoji-variation.js";
import { fontFamilies } from "../src/glyph-fonts.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "emoji-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const pixel = (picture: Uint8Array, x: number, y: number, channels: number): number[] => [...picture.subarray((y * 32 + x) * channels, (y * 32 + x + 1) * channels)];

describe("an emoji picture", () => {
  it("drawn from SVG keeps shape and opacity", async () => {
    const picture = await drawSvg('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72"><rect width="36" height="72" fill="#ff8000"/></svg>');
    expect(pixel(picture, 4, 16, 4)).toEqual([255, 128, 0, 255]);
    expect(pixel(picture, 28, 16, 4)[3]).toBe(0);
    expect(pixel(onGround(picture), 28, 16, 3)).toEqual([255, 255, 255]);
    expect(pixel(onGround(picture, [0, 0, 0]), 28, 16, 3)).toEqual([0, 0, 0]);
  });

  it("from PNG is averaged with colours weighted by opacity", async () => {
    // Columns alternate opaque red and clear green: the average is half-clear red.
    const data = Uint8Array.from({ length: 64 * 64 * 4 }, (_, i) => (Math.floor(i / 4) % 2 === 0 ? [200, 0, 0, 255] : [0, 200, 0, 0])[i % 4]!);
    const path = join(folder, "stripes.png");
    writeFileSync(path, encode({ width: 64, height: 64, data, channels: 4, depth: 8 }));
    expect(pixel(await readEmojiPicture(path), 9, 9, 4)).toEqual([200, 0, 0, 128]);
  });

  it("varies by the seed alone, within 32 × 32 RGB", async () => {
    const picture = await drawSvg('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="4" r="3"/></svg>');
    const [first, again, other] = [5, 5, 6].map((seed) => varied(picture, SLIGHT_VARIATION, new Random(seed)));
    expect(first).toHaveLength(32 * 32 * 3);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it("is copied by a variation of nothing", async () => {
    const picture = await drawSvg('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M1 1h5v3H1z" fill="#123456"/></svg>');
    const nothing = { scale: [1, 1], degrees: 0, shift: 0, wave: 0, light: 0, noise: 0, ground: [255, 255] } as const;
    const copy = varied(picture, nothing, new Random(1));
    onGround(picture).forEach((value, index) => expect(Math.abs(copy[index]! - value)).toBeLessThanOrEqual(1));
  });
});

it("missing picture packages are named", () => {
  expect(() => emojiCatalogue(folder)).toThrow(InputError);
  expect(() => fontFamilies(folder)).toThrow(/no font package/);
});
