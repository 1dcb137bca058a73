import type { Random } from "@atlas-tv/core";
import { EMOJI_SIZE } from "@atlas-tv/datasets";
import { GLYPH_INK, GLYPH_SIDE } from "./pretraining-pictures.js";
import { SIDE } from "./rendered-images.js";

type Colour = readonly [number, number, number];

const WHITE: Colour = [255, 255, 255];
const BLACK: Colour = [0, 0, 0];
const UNCHANGED: Colour = [1, 1, 1];

/** Least difference of brightness between a glyph and its ground. */
const LEAST_CONTRAST = 60;

const GREY_SHARE = 0.3;
const INVERTED_SHARE = 0.25;

const brightness = ([red, green, blue]: Colour): number => 0.299 * red + 0.587 * green + 0.114 * blue;

const anyColour = (random: Random): Colour => [random.between(0, 256), random.between(0, 256), random.between(0, 256)];

/** Where a pixel of the new picture comes from in the old one: (a·x + b·y + e, c·x + d·y + f). */
interface Source {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly e: number;
  readonly f: number;
}

/**
 * The inverse of: scale (by `size`, proportions within ±18 %), shear (±0.2), rotation (±20°), shift (±3
 * pixels), about the middle of both pictures.
 */
function randomSource(random: Random, side: number, size: number): Source {
  const wide = random.between(0.82, 1.18);
  const [scaleX, scaleY] = [size * Math.sqrt(wide), size / Math.sqrt(wide)];
  const shear = random.between(-0.2, 0.2);
  const angle = (random.between(-20, 20) * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  // Undo the rotation, then the shear, then the scale.
  const [a, b, c, d] = [(cos + shear * sin) / scaleX, (sin - shear * cos) / scaleX, -sin / scaleY, cos / scaleY];
  const [x, y] = [(SIDE - 1) / 2 + random.between(-3, 3), (SIDE - 1) / 2 + random.between(-3, 3)];
  const middle = (side - 1) / 2;
  return { a, b, c, d, e: middle - a * x - b * y, f: middle - c * x - d * y };
}

/** Bytes to the model's range, −1 … 1, with a gain and an offset per channel, then grey and inversion at random. */
function finish(images: Float32Array, at: number, random: Random, gains: Colour, offset: number): void {
  const grey = random.next() < GREY_SHARE;
  const inverted = random.next() < INVERTED_SHARE;
  for (let i = at; i < at + SIDE * SIDE * 3; i += 3) {
    let red = images[i]! * gains[0] + offset;
    let green = images[i + 1]! * gains[1] + offset;
    let blue = images[i + 2]! * gains[2] + offset;
    if (grey) red = green = blue = 0.299 * red + 0.587 * green + 0.114 * blue;
    const sign = inverted ? -1 : 1;
    images[i] = sign * Math.min(1, Math.max(-1, red / 127.5 - 1));
    images[i + 1] = sign * Math.min(1, Math.max(-1, green / 127.5 - 1));
    images[i + 2] = sign * Math.min(1, Math.max(-1, blue / 127.5 - 1));
  }
}

/** Writes a changed emoji into `images` at `at`: affine, on a white, black or coloured ground, colours shifted. */
export function augmentEmoji(rgba: Uint8Array, from: number, lineArt: boolean, images: Float32Array, at: number, random: Random): void {
  const ground = random.next();
  // Black lines need a light ground; inversion shows them white on black.
  const [red, green, blue] = ground < 0.5 || lineArt ? WHITE : ground < 0.75 ? BLACK : anyColour(random);
  const { a, b, c, d, e, f } = randomSource(random, EMOJI_SIZE, random.between(0.8, 1.3));
  const last = EMOJI_SIZE - 1;
  for (let y = 0, to = at; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++, to += 3) {
      const u = a * x + b * y + e;
      const v = c * x + d * y + f;
      let sumRed = 0;
      let sumGreen = 0;
      let sumBlue = 0;
      let opacity = 0;
      if (u > -1 && v > -1 && u < last + 1 && v < last + 1) {
        const left = Math.floor(u);
        const top = Math.floor(v);
        for (let corner = 0; corner < 4; corner++) {
          const column = left + (corner & 1);
          const row = top + (corner >> 1);
          if (column < 0 || row < 0 || column > last || row > last) continue;
          const pixel = from + (row * EMOJI_SIZE + column) * 4;
          const weight = (((corner & 1) === 0 ? left + 1 - u : u - left) * (corner < 2 ? top + 1 - v : v - top) * rgba[pixel + 3]!) / 255;
          sumRed += weight * rgba[pixel]!;
          sumGreen += weight * rgba[pixel + 1]!;
          sumBlue += weight * rgba[pixel + 2]!;
          opacity += weight;
        }
      }
      images[to] = sumRed + red * (1 - opacity);
      images[to + 1] = sumGreen + green * (1 - opacity);
      images[to + 2] = sumBlue + blue * (1 - opacity);
    }
  }
  finish(images, at, random, [random.between(0.8, 1.2), random.between(0.8, 1.2), random.between(0.8, 1.2)], random.between(-25, 25));
}

/** Writes a changed glyph into `images` at `at`: affine, heavier or lighter strokes, any two contrasting colours. */
export function augmentGlyph(masks: Uint8Array, from: number, images: Float32Array, at: number, random: Random): void {
  const kind = random.next();
  const ground = kind < 0.25 ? BLACK : kind < 0.4 ? WHITE : anyColour(random);
  let ink = kind < 0.25 ? WHITE : kind < 0.4 ? BLACK : anyColour(random);
  while (Math.abs(brightness(ink) - brightness(ground)) < LEAST_CONTRAST) ink = anyColour(random);
  const { a, b, c, d, e, f } = randomSource(random, GLYPH_SIDE, random.between(16, 29) / GLYPH_INK);
  // More than full coverage makes the soft rim of a stroke part of it.
  const weight = random.between(0.9, 1.8) / 255;
  const last = GLYPH_SIDE - 1;
  for (let y = 0, to = at; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++, to += 3) {
      const u = a * x + b * y + e;
      const v = c * x + d * y + f;
      let share = 0;
      // The rim of a mask is empty.
      if (u >= 0 && v >= 0 && u < last && v < last) {
        const left = Math.floor(u);
        const top = Math.floor(v);
        const pixel = from + top * GLYPH_SIDE + left;
        const s = u - left;
        const t = v - top;
        const upper = masks[pixel]! * (1 - s) + masks[pixel + 1]! * s;
        const lower = masks[pixel + GLYPH_SIDE]! * (1 - s) + masks[pixel + GLYPH_SIDE + 1]! * s;
        share = Math.min(1, (upper * (1 - t) + lower * t) * weight);
      }
      images[to] = ground[0] + (ink[0] - ground[0]) * share;
      images[to + 1] = ground[1] + (ink[1] - ground[1]) * share;
      images[to + 2] = ground[2] + (ink[2] - ground[2]) * share;
    }
  }
  finish(images, at, random, UNCHANGED, 0);
}
