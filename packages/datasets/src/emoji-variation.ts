import type { Random } from "@atlas-tv/core";
import { EMOJI_SIZE, type EmojiPicture } from "./emoji-pictures.js";

/** How far a picture may be changed; every range is drawn from uniformly. */
export interface Variation {
  /** Size against the original. */
  readonly scale: readonly [number, number];
  /** Largest rotation either way, degrees. */
  readonly degrees: number;
  /** Largest shift either way, pixels. */
  readonly shift: number;
  /** Height of a horizontal wave, pixels: cloth in the wind. */
  readonly wave: number;
  /** Largest change of brightness either way, share of 255. */
  readonly light: number;
  /** Standard deviation of camera noise, of 255. */
  readonly noise: number;
  /** Brightness range of the grey ground. */
  readonly ground: readonly [number, number];
}

/** Small changes that leave an emoji easy to name. */
export const SLIGHT_VARIATION: Variation = { scale: [0.85, 1.1], degrees: 8, shift: 1.5, wave: 0, light: 0.12, noise: 6, ground: [225, 256] };

/** A flag in the wind, in any light, before any sky. */
export const WAVING_VARIATION: Variation = { scale: [0.75, 1.1], degrees: 15, shift: 2.5, wave: 2.5, light: 0.3, noise: 12, ground: [60, 256] };

/** Draws a changed copy of a picture as 32 × 32 RGB. */
export function varied(picture: EmojiPicture, variation: Variation, random: Random): Uint8Array {
  const { scale, degrees, shift, wave, light, noise, ground } = variation;
  const size = random.between(scale[0], scale[1]);
  const angle = (random.between(-degrees, degrees) * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle) / size, Math.sin(angle) / size];
  const [shiftX, shiftY] = [random.between(-shift, shift), random.between(-shift, shift)];
  const [height, length, phase] = [random.between(0, wave), random.between(12, 30), random.between(0, 2 * Math.PI)];
  const brighter = random.between(-light, light) * 255;
  const grey = random.between(ground[0], ground[1]);
  const middle = (EMOJI_SIZE - 1) / 2;
  const rgb = new Uint8Array(EMOJI_SIZE * EMOJI_SIZE * 3);
  const sample = new Float32Array(4);
  for (let y = 0; y < EMOJI_SIZE; y++) {
    for (let x = 0; x < EMOJI_SIZE; x++) {
      const [u, v] = [x - middle - shiftX, y - middle - shiftY];
      const slope = Math.cos((2 * Math.PI * x) / length + phase);
      const bend = height * Math.sin((2 * Math.PI * x) / length + phase);
      sampleAt(picture, cos * u + sin * v + middle, cos * v - sin * u + bend + middle, sample);
      const opacity = sample[3]! / 255;
      // Cloth that leans away from the light is darker.
      const shade = brighter + noise * random.normal() + (wave > 0 ? 14 * height * slope * opacity : 0);
      for (let channel = 0; channel < 3; channel++) {
        const value = sample[channel]! + grey * (1 - opacity) + shade;
        rgb[(y * EMOJI_SIZE + x) * 3 + channel] = Math.min(255, Math.max(0, Math.round(value)));
      }
    }
  }
  return rgb;
}

/** Bilinear sample: colours multiplied by opacity (0…255), opacity; nothing outside the picture. */
function sampleAt(picture: EmojiPicture, x: number, y: number, into: Float32Array): void {
  into.fill(0);
  const [left, top] = [Math.floor(x), Math.floor(y)];
  for (const [u, v] of [[left, top], [left + 1, top], [left, top + 1], [left + 1, top + 1]] as const) {
    if (u < 0 || v < 0 || u >= EMOJI_SIZE || v >= EMOJI_SIZE) continue;
    const at = (v * EMOJI_SIZE + u) * 4;
    const weight = (1 - Math.abs(x - u)) * (1 - Math.abs(y - v));
    const opacity = picture[at + 3]!;
    for (let channel = 0; channel < 3; channel++) into[channel]! += (weight * picture[at + channel]! * opacity) / 255;
    into[3]! += weight * opacity;
  }
}
