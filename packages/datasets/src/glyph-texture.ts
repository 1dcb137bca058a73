import type { Random } from "@atlas-tv/core";

/** Red, green, blue in 0…255. */
export type Colour = readonly [number, number, number];

/** Side of every rendered picture, in pixels. */
export const PICTURE_SIZE = 32;

/** An RGB picture under construction: PICTURE_SIZE² × 3 values, nominally 0…255. */
export type Canvas = Float32Array;

/** Perceived brightness (Rec. 601), 0…255. */
export function brightness([red, green, blue]: Colour): number {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

/** A colour uniform in the RGB cube. */
export function anyColour(random: Random): Colour {
  return [random.between(0, 256), random.between(0, 256), random.between(0, 256)];
}

/** A colour whose brightness differs from `other`'s by at least `contrast` (at most 120). */
export function contrastingColour(random: Random, other: Colour, contrast: number): Colour {
  for (;;) {
    const colour = anyColour(random);
    if (Math.abs(brightness(colour) - brightness(other)) >= contrast) return colour;
  }
}

/** Smooth noise in 0…1: random values on a lattice of `cellX` × `cellY` pixels, cosine-interpolated. */
export function smoothNoise(random: Random, cellX: number, cellY: number): Float32Array {
  const columns = Math.ceil(PICTURE_SIZE / cellX) + 1;
  const rows = Math.ceil(PICTURE_SIZE / cellY) + 1;
  const lattice = Float32Array.from({ length: columns * rows }, () => random.next());
  const noise = new Float32Array(PICTURE_SIZE * PICTURE_SIZE);
  const ease = (t: number): number => (1 - Math.cos(Math.PI * t)) / 2;
  for (let y = 0; y < PICTURE_SIZE; y++) {
    const row = Math.floor(y / cellY);
    const v = ease(y / cellY - row);
    for (let x = 0; x < PICTURE_SIZE; x++) {
      const column = Math.floor(x / cellX);
      const u = ease(x / cellX - column);
      const at = row * columns + column;
      const top = lattice[at]! * (1 - u) + lattice[at + 1]! * u;
      const bottom = lattice[at + columns]! * (1 - u) + lattice[at + columns + 1]! * u;
      noise[y * PICTURE_SIZE + x] = top * (1 - v) + bottom * v;
    }
  }
  return noise;
}

/** A canvas of one colour. */
export function plainCanvas(colour: Colour): Canvas {
  const canvas = new Float32Array(PICTURE_SIZE * PICTURE_SIZE * 3);
  for (let i = 0; i < canvas.length; i++) canvas[i] = colour[i % 3]!;
  return canvas;
}

/** Mixes `colour` into the canvas where `weight` (0…1 per pixel) says so. */
export function mixIn(canvas: Canvas, colour: Colour, weight: (pixel: number) => number): void {
  for (let pixel = 0; pixel < PICTURE_SIZE * PICTURE_SIZE; pixel++) {
    const share = weight(pixel);
    if (share <= 0) continue;
    for (let channel = 0; channel < 3; channel++) {
      const at = pixel * 3 + channel;
      canvas[at] = canvas[at]! * (1 - share) + colour[channel]! * share;
    }
  }
}

/** Cloudy, grained or striped ground between two colours near `base`. */
export function groundTexture(random: Random, base: Colour): Canvas {
  const canvas = plainCanvas(base);
  const second: Colour = [base[0] + random.between(-100, 100), base[1] + random.between(-100, 100), base[2] + random.between(-100, 100)];
  // Long cells give wood grain and fabric, square ones clouds.
  const cells: readonly (readonly [number, number])[] = [[8, 8], [4, 4], [16, 2], [2, 16], [5, 2]];
  const [cellX, cellY] = cells[random.below(cells.length)]!;
  const coarse = smoothNoise(random, cellX, cellY);
  const fine = smoothNoise(random, 2, 2);
  mixIn(canvas, second, (pixel) => 0.75 * coarse[pixel]! + 0.25 * fine[pixel]!);
  return canvas;
}

/** House wall: bricks, boards, or plaster with a slope of light. */
export function wallTexture(random: Random, base: Colour): Canvas {
  const canvas = plainCanvas(base);
  const joint: Colour = [base[0] * 0.55 + 60, base[1] * 0.55 + 60, base[2] * 0.55 + 60];
  const kind = random.below(3);
  if (kind < 2) {
    const height = 4 + random.below(5);
    const width = kind === 0 ? 8 + random.below(8) : 4 * PICTURE_SIZE;
    const [shiftX, shiftY] = [random.below(width), random.below(height)];
    mixIn(canvas, joint, (pixel) => {
      const y = Math.floor(pixel / PICTURE_SIZE) + shiftY;
      const x = (pixel % PICTURE_SIZE) + shiftX + (Math.floor(y / height) % 2) * Math.floor(width / 2);
      return y % height === 0 || x % width === 0 ? 0.7 : 0;
    });
  }
  const plaster = smoothNoise(random, 6, 6);
  const [slopeX, slopeY] = [random.between(-1, 1), random.between(-1, 1)];
  const light: Colour = random.next() < 0.5 ? [255, 250, 235] : [10, 10, 25];
  mixIn(canvas, light, (pixel) => {
    const [x, y] = [(pixel % PICTURE_SIZE) / PICTURE_SIZE - 0.5, Math.floor(pixel / PICTURE_SIZE) / PICTURE_SIZE - 0.5];
    return Math.min(0.5, Math.max(0, 0.15 + 0.3 * (slopeX * x + slopeY * y) + 0.15 * (plaster[pixel]! - 0.5)));
  });
  return canvas;
}

/** School slate: dark green, grey or blue, with smears of wiped chalk. */
export function boardTexture(random: Random): Canvas {
  const boards: readonly Colour[] = [[28, 60, 44], [38, 40, 42], [30, 42, 66], [50, 36, 32]];
  const canvas = plainCanvas(boards[random.below(boards.length)]!);
  const smear = smoothNoise(random, 12, 5);
  const strength = random.between(0.1, 0.35);
  mixIn(canvas, [200, 200, 195], (pixel) => strength * Math.max(0, smear[pixel]! - 0.35));
  return canvas;
}

/** Averages each pixel with its neighbours; `amount` 0 leaves the picture, 1 is a 3 × 3 box. */
export function soften(canvas: Canvas, amount: number): void {
  const sharp = canvas.slice();
  for (let y = 0; y < PICTURE_SIZE; y++) {
    for (let x = 0; x < PICTURE_SIZE; x++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        let count = 0;
        for (let v = Math.max(0, y - 1); v <= Math.min(PICTURE_SIZE - 1, y + 1); v++) {
          for (let u = Math.max(0, x - 1); u <= Math.min(PICTURE_SIZE - 1, x + 1); u++) {
            sum += sharp[(v * PICTURE_SIZE + u) * 3 + channel]!;
            count++;
          }
        }
        const at = (y * PICTURE_SIZE + x) * 3 + channel;
        canvas[at] = sharp[at]! * (1 - amount) + (sum / count) * amount;
      }
    }
  }
}

/** Adds camera noise of the given standard deviation (one draw per pixel, shared by the channels). */
export function addNoise(canvas: Canvas, random: Random, deviation: number): void {
  for (let pixel = 0; pixel < PICTURE_SIZE * PICTURE_SIZE; pixel++) {
    const noise = deviation * random.normal();
    for (let channel = 0; channel < 3; channel++) canvas[pixel * 3 + channel]! += noise;
  }
}

/** Rounds a canvas to bytes. */
export function toBytes(canvas: Canvas): Uint8Array {
  return Uint8Array.from(canvas, (value) => Math.min(255, Math.max(0, Math.round(value))));
}
