import { InputError } from "./errors.js";
import type { PixelImage } from "./image-source.js";
import { toRgb } from "./pixels.js";
import type { Random } from "./random.js";
import { crop, resize, roundHalfEven, type Box } from "./resample.js";

/** Tries before `randomCropBox` settles for the largest box of an allowed shape, as in torchvision. */
const CROP_ATTEMPTS = 10;

export interface CropOptions {
  /** Range of the crop's share of the area. Default 0.5 to 1, the paper's. */
  readonly scale?: readonly [number, number];
  /** Range of width / height. Default 3/4 to 4/3. */
  readonly ratio?: readonly [number, number];
}

export interface AffineOptions {
  /** Largest turn either way, in degrees. Default 10. */
  readonly degrees?: number;
  /** Largest shift either way, as a share of the side. Default 0.1. */
  readonly translate?: number;
  /** Range of the scale factor. Default 0.9 to 1.1. */
  readonly scale?: readonly [number, number];
  /** Value of what comes in from outside, 0…255, for all channels or one per channel. Default 0. */
  readonly fill?: number | readonly number[];
}

/** A turn, scale and shift about the centre of the image. */
export interface AffineMotion {
  /** Clockwise. */
  readonly degrees: number;
  readonly scale: number;
  /** In pixels, to the right. */
  readonly shiftX: number;
  /** In pixels, downwards. */
  readonly shiftY: number;
}

function requireRange(where: string, [low, high]: readonly [number, number]): void {
  if (low > 0 && high >= low && Number.isFinite(high)) return;
  throw new InputError({ where, got: `${low} to ${high}`, expected: "two positive numbers, the smaller one first" });
}

/** The box that torchvision's RandomResizedCrop cuts out of an image of that size. */
export function randomCropBox(width: number, height: number, random: Random, options: CropOptions = {}): Box {
  const { scale = [0.5, 1], ratio = [3 / 4, 4 / 3] } = options;
  requireRange("crop scale", scale);
  requireRange("crop ratio", ratio);
  for (let attempt = 0; attempt < CROP_ATTEMPTS; attempt++) {
    const area = width * height * random.between(scale[0], scale[1]);
    const aspect = Math.exp(random.between(Math.log(ratio[0]), Math.log(ratio[1])));
    const w = roundHalfEven(Math.sqrt(area * aspect));
    const h = roundHalfEven(Math.sqrt(area / aspect));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const top = random.below(height - h + 1);
    return { left: random.below(width - w + 1), top, width: w, height: h };
  }
  const aspect = width / height;
  const w = aspect > ratio[1] ? Math.max(1, roundHalfEven(height * ratio[1])) : width;
  const h = aspect < ratio[0] ? Math.max(1, roundHalfEven(width / ratio[0])) : height;
  return { left: (width - w) >> 1, top: (height - h) >> 1, width: w, height: h };
}

/** A random part of the image, resized to `size` × `size` with antialiased bicubic. */
export function randomResizedCrop(image: PixelImage, size: number, random: Random, options: CropOptions = {}): PixelImage {
  return resize(crop(image, randomCropBox(image.width, image.height, random, options)), size, size);
}

/** The mirror image, left for right. */
export function flipHorizontally(image: PixelImage): PixelImage {
  const { width, height, channels, data } = image;
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const to = (y * width + x) * channels;
      const from = (y * width + width - 1 - x) * channels;
      for (let channel = 0; channel < channels; channel++) out[to + channel] = data[from + channel]!;
    }
  }
  return { ...image, data: out };
}

/** Moves an image of gray or RGB pixels, bilinear, keeping its size; `fill` stands outside. */
export function affine(image: PixelImage, motion: AffineMotion, fill: number | readonly number[] = 0): PixelImage {
  const opaque = image.palette === undefined && (image.channels === 1 || image.channels === 3) ? image : toRgb(image);
  const { width, height, channels, data } = opaque;
  const outside = Float64Array.from({ length: channels }, (_, channel) => (typeof fill === "number" ? fill : (fill[channel] ?? 0)));
  const out = new Uint8Array(data.length);
  const angle = (motion.degrees * Math.PI) / 180;
  // The inverse motion: where in the input each output pixel comes from.
  const cos = Math.cos(angle) / motion.scale;
  const sin = Math.sin(angle) / motion.scale;
  const centreX = width / 2;
  const centreY = height / 2;
  const rowLength = width * channels;
  let at = 0;
  for (let y = 0; y < height; y++) {
    const dy = y + 0.5 - centreY - motion.shiftY;
    for (let x = 0; x < width; x++) {
      const dx = x + 0.5 - centreX - motion.shiftX;
      const sourceX = cos * dx + sin * dy + centreX - 0.5;
      const sourceY = cos * dy - sin * dx + centreY - 0.5;
      const x0 = Math.floor(sourceX);
      const y0 = Math.floor(sourceY);
      const fx = sourceX - x0;
      const fy = sourceY - y0;
      const from = y0 * rowLength + x0 * channels;
      const hasLeft = x0 >= 0 && x0 < width;
      const hasRight = x0 >= -1 && x0 < width - 1;
      const hasTop = y0 >= 0 && y0 < height;
      const hasBottom = y0 >= -1 && y0 < height - 1;
      for (let channel = 0; channel < channels; channel++) {
        const none = outside[channel]!;
        const p = from + channel;
        const a = hasTop && hasLeft ? data[p]! : none;
        const b = hasTop && hasRight ? data[p + channels]! : none;
        const c = hasBottom && hasLeft ? data[p + rowLength]! : none;
        const d = hasBottom && hasRight ? data[p + rowLength + channels]! : none;
        const upper = a + (b - a) * fx;
        out[at++] = upper + (c + (d - c) * fx - upper) * fy + 0.5;
      }
    }
  }
  return { width, height, channels, data: out };
}

/** A soft random motion: every quantity uniform in its range. */
export function randomAffine(image: PixelImage, random: Random, options: AffineOptions = {}): PixelImage {
  const { degrees = 10, translate = 0.1, scale = [0.9, 1.1], fill = 0 } = options;
  requireRange("affine scale", scale);
  const motion = {
    degrees: random.between(-degrees, degrees),
    scale: random.between(scale[0], scale[1]),
    shiftX: random.between(-translate, translate) * image.width,
    shiftY: random.between(-translate, translate) * image.height,
  };
  return affine(image, motion, fill);
}
