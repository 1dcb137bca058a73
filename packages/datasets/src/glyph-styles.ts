import type { Random } from "@atlas-tv/core";
import { placement, rasterise, type Outline } from "./glyph-outline.js";
import {
  PICTURE_SIZE, addNoise, anyColour, boardTexture, brightness, contrastingColour, groundTexture, mixIn, plainCanvas, smoothNoise, soften, toBytes,
  wallTexture, type Canvas, type Colour,
} from "./glyph-texture.js";

/**
 * Draws a glyph as a 32 × 32 RGB picture. `neighbour` gives another glyph's outline of the same font on
 * each call (styles with clutter use it).
 */
export type GlyphStyle = (outline: Outline, random: Random, neighbour: () => Outline) => Uint8Array;

const MIDDLE = PICTURE_SIZE / 2;

interface Looseness {
  /** Half the glyph's larger side in pixels, lowest and highest. */
  readonly half: readonly [number, number];
  /** Largest rotation either way, degrees. */
  readonly degrees: number;
  /** Largest shift either way, pixels. */
  readonly shift: number;
}

/** The mask of a glyph put down by hand: random size, proportions, slant, rotation and place. */
function handPlaced(outline: Outline, random: Random, { half, degrees, shift }: Looseness): Uint8Array {
  const scale = random.between(half[0], half[1]);
  return rasterise(
    outline,
    placement({
      scaleX: scale * random.between(0.85, 1.15),
      scaleY: scale,
      angle: (random.between(-degrees, degrees) * Math.PI) / 180,
      shear: random.between(-0.2, 0.2),
      x: MIDDLE + random.between(-shift, shift),
      y: MIDDLE + random.between(-shift, shift),
    }),
    PICTURE_SIZE,
  );
}

function stamp(canvas: Canvas, mask: Uint8Array, colour: Colour, opacity = 1): void {
  mixIn(canvas, colour, (pixel) => (mask[pixel]! / 255) * opacity);
}

/** On wood, cloth or cloud, with weak contrast. */
export const onTexture: GlyphStyle = (outline, random) => {
  const ground = anyColour(random);
  const canvas = groundTexture(random, ground);
  const colour = contrastingColour(random, ground, 55);
  stamp(canvas, handPlaced(outline, random, { half: [8, 13], degrees: 15, shift: 3 }), colour, random.between(0.65, 1));
  soften(canvas, random.between(0, 0.5));
  addNoise(canvas, random, random.between(4, 14));
  return toBytes(canvas);
};

/** Chalk that skips over the grain of the board; `roughness` 0…1 says how much of the stroke is lost. */
function chalk(canvas: Canvas, mask: Uint8Array, random: Random, roughness: number): void {
  const chalks: readonly Colour[] = [[240, 240, 232], [244, 232, 150], [244, 178, 178], [170, 210, 240]];
  const grain = smoothNoise(random, 1.5, 1.5);
  const lost = roughness * random.between(0.6, 1);
  mixIn(canvas, chalks[random.below(chalks.length)]!, (pixel) => (mask[pixel]! / 255) * Math.min(1, Math.max(0, (grain[pixel]! - lost) * 4 + 0.9)));
}

/** Rough chalk on a noisy board. */
export const noisyChalk: GlyphStyle = (outline, random) => {
  const canvas = boardTexture(random);
  chalk(canvas, handPlaced(outline, random, { half: [8, 13], degrees: 15, shift: 3 }), random, 0.55);
  addNoise(canvas, random, random.between(15, 40));
  return toBytes(canvas);
};

/** Clean chalk over a wiped drawing and a ruled line, written at a slant. */
export const slantedChalk: GlyphStyle = (outline, random, neighbour) => {
  const canvas = boardTexture(random);
  const wiped = handPlaced(neighbour(), random, { half: [9, 14], degrees: 40, shift: 9 });
  stamp(canvas, wiped, [190, 190, 185], random.between(0.1, 0.3));
  soften(canvas, 1);
  const ruled = 24 + random.below(7);
  const visible = random.between(0, 0.5);
  mixIn(canvas, [205, 205, 200], (pixel) => (Math.floor(pixel / PICTURE_SIZE) === ruled ? visible : 0));
  chalk(canvas, handPlaced(outline, random, { half: [9, 14], degrees: 25, shift: 2 }), random, 0.3);
  addNoise(canvas, random, random.between(3, 12));
  return toBytes(canvas);
};

/** A house number in the street: wall, neighbouring digits cut by the frame, a pole or wire, blur. */
export const onStreet: GlyphStyle = (outline, random, neighbour) => {
  const wall = anyColour(random);
  const canvas = wallTexture(random, wall);
  const colour = contrastingColour(random, wall, 50);
  const scale = random.between(10, 13.5);
  const narrow = random.between(0.8, 1.1);
  const angle = (random.between(-12, 12) * Math.PI) / 180;
  const y = MIDDLE + random.between(-2, 2);
  const x = MIDDLE + random.between(-1.5, 1.5);
  const put = (glyph: Outline, at: number): Uint8Array => rasterise(glyph, placement({ scaleX: scale * narrow, scaleY: scale, angle, x: at, y }), PICTURE_SIZE);
  const gap = random.between(1, 4);
  for (const side of [-1, 1]) {
    if (random.next() < 0.3) continue;
    const other = neighbour();
    const distance = (outline.halfWidth + other.halfWidth) * scale * narrow + gap;
    stamp(canvas, put(other, x + side * distance), colour);
  }
  stamp(canvas, put(outline, x), colour);
  if (random.next() < 0.4) clutter(canvas, random);
  soften(canvas, random.between(0, 1));
  if (random.next() < 0.4) soften(canvas, 1);
  addNoise(canvas, random, random.between(2, 10));
  return toBytes(canvas);
};

/** A straight bar of a random colour at a random place and slope: a wire, a pole, a door frame. */
function clutter(canvas: Canvas, random: Random): void {
  const angle = random.between(0, Math.PI);
  const [normalX, normalY] = [Math.cos(angle), Math.sin(angle)];
  const offset = random.between(-14, 14);
  const half = random.between(0.4, 1.4);
  mixIn(canvas, anyColour(random), (pixel) => {
    const distance = ((pixel % PICTURE_SIZE) - MIDDLE) * normalX + (Math.floor(pixel / PICTURE_SIZE) - MIDDLE) * normalY - offset;
    return Math.min(0.85, Math.max(0, half + 0.5 - Math.abs(distance)));
  });
}

/** Plain colours, turned by up to 75° either way. */
export const rotated: GlyphStyle = (outline, random) => {
  const ground = anyColour(random);
  const canvas = plainCanvas(ground);
  const colour = contrastingColour(random, ground, brightness(ground) > 90 && brightness(ground) < 165 ? 60 : 90);
  stamp(canvas, handPlaced(outline, random, { half: [9, 14], degrees: 75, shift: 2 }), colour);
  addNoise(canvas, random, random.between(0, 6));
  return toBytes(canvas);
};
