import type { PixelImage } from "./image-source.js";

/** Bits of the fraction in Pillow's fixed-point weights: 32 minus 8 for the pixel and 2 for the overshoot. */
const PRECISION_BITS = 22;
const HALF = 1 << (PRECISION_BITS - 1);
/** Half-width of the bicubic kernel in output pixels. */
const BICUBIC_SUPPORT = 2;

/** A rectangle of pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Python's `round`: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** Keys' cubic with a = −0.5. */
function bicubic(x: number): number {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * a;
  return 0;
}

/** Which input pixels make each output pixel along one axis, and their weights times 2²². */
interface Taps {
  /** First input pixel of each output pixel. */
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `stride` per output pixel. */
  readonly weights: Int32Array;
  readonly stride: number;
}

function bicubicTaps(input: number, output: number): Taps {
  const scale = input / output;
  const filterScale = Math.max(scale, 1);
  const support = BICUBIC_SUPPORT * filterScale;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(output);
  const count = new Int32Array(output);
  const weights = new Int32Array(output * stride);
  const raw = new Float64Array(stride);
  for (let i = 0; i < output; i++) {
    const centre = (i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - support + 0.5));
    const n = Math.min(input, Math.trunc(centre + support + 0.5)) - from;
    let sum = 0;
    for (let t = 0; t < n; t++) sum += raw[t] = bicubic((t + from - centre + 0.5) / filterScale);
    for (let t = 0; t < n; t++) {
      const weight = (raw[t]! / sum) * (1 << PRECISION_BITS);
      weights[i * stride + t] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    first[i] = from;
    count[i] = n;
  }
  return { first, count, weights, stride };
}

function clip8(sum: number): number {
  const value = sum >> PRECISION_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function resampleRows(data: Uint8Array, width: number, height: number, channels: number, newWidth: number): Uint8Array {
  const { first, count, weights, stride } = bicubicTaps(width, newWidth);
  const out = new Uint8Array(newWidth * height * channels);
  let at = 0;
  for (let y = 0; y < height; y++) {
    const row = y * width * channels;
    for (let x = 0; x < newWidth; x++) {
      const from = row + first[x]! * channels;
      const n = count[x]!;
      const k = x * stride;
      for (let channel = 0; channel < channels; channel++) {
        let sum = HALF;
        for (let t = 0, p = from + channel; t < n; t++, p += channels) sum = (sum + Math.imul(data[p]!, weights[k + t]!)) | 0;
        out[at++] = clip8(sum);
      }
    }
  }
  return out;
}

function resampleColumns(data: Uint8Array, rowLength: number, height: number, newHeight: number): Uint8Array {
  const { first, count, weights, stride } = bicubicTaps(height, newHeight);
  const out = new Uint8Array(rowLength * newHeight);
  let at = 0;
  for (let y = 0; y < newHeight; y++) {
    const from = first[y]! * rowLength;
    const n = count[y]!;
    const k = y * stride;
    for (let i = 0; i < rowLength; i++) {
      let sum = HALF;
      for (let t = 0, p = from + i; t < n; t++, p += rowLength) sum = (sum + Math.imul(data[p]!, weights[k + t]!)) | 0;
      out[at++] = clip8(sum);
    }
  }
  return out;
}

function resizeBicubic(image: PixelImage, width: number, height: number): PixelImage {
  let { data } = image;
  if (width !== image.width) data = resampleRows(data, image.width, image.height, image.channels, width);
  if (height !== image.height) data = resampleColumns(data, width * image.channels, image.height, height);
  return { width, height, channels: image.channels, data };
}

function resizeNearest(image: PixelImage, width: number, height: number): PixelImage {
  const { channels } = image;
  const data = new Uint8Array(width * height * channels);
  const scaleX = image.width / width;
  const scaleY = image.height / height;
  let at = 0;
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y + 0.5) * scaleY) * image.width;
    for (let x = 0; x < width; x++) {
      const from = (row + Math.floor((x + 0.5) * scaleX)) * channels;
      for (let channel = 0; channel < channels; channel++) data[at++] = image.data[from + channel]!;
    }
  }
  return { ...image, width, height, data };
}

/** Applies a rule to every colour value of an image whose last channel is alpha. */
function withAlpha(image: PixelImage, rule: (value: number, alpha: number) => number): PixelImage {
  const { channels } = image;
  const data = new Uint8Array(image.data);
  for (let i = 0; i < data.length; i += channels) {
    const alpha = data[i + channels - 1]!;
    for (let channel = 0; channel < channels - 1; channel++) data[i + channel] = rule(data[i + channel]!, alpha);
  }
  return { ...image, data };
}

/** value · alpha / 255, rounded, without a division. */
function premultiply(value: number, alpha: number): number {
  const product = value * alpha + 128;
  return ((product >> 8) + product) >> 8;
}

function unpremultiply(value: number, alpha: number): number {
  return alpha === 0 || alpha === 255 ? value : Math.min(255, Math.trunc((255 * value) / alpha));
}

/**
 * Resizes as Pillow's `resize(…, BICUBIC)` does, to the last bit: antialiased bicubic with a rounding to bytes
 * after the horizontal pass; alpha is multiplied in for the time being; palette indices take the nearest pixel.
 */
export function resize(image: PixelImage, width: number, height: number): PixelImage {
  if (image.width === width && image.height === height) return image;
  if (image.palette !== undefined) return resizeNearest(image, width, height);
  if (image.channels === 1 || image.channels === 3) return resizeBicubic(image, width, height);
  return withAlpha(resizeBicubic(withAlpha(image, premultiply), width, height), unpremultiply);
}

/** The pixels of a rectangle inside the image. */
export function crop(image: PixelImage, box: Box): PixelImage {
  const { left, top, width, height } = box;
  if (width === image.width && height === image.height) return image;
  const { channels } = image;
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * channels;
    data.set(image.data.subarray(from, from + width * channels), y * width * channels);
  }
  return { ...image, width, height, data };
}

/** The shorter side becomes `size`, the longer one keeps the ratio, rounded down. */
export function resizeShorterSide(image: PixelImage, size: number): PixelImage {
  const { width, height } = image;
  return width <= height
    ? resize(image, size, Math.floor((size * height) / width))
    : resize(image, Math.floor((size * width) / height), size);
}

/** The middle `size` × `size` of an image that is at least that large. */
export function centreCrop(image: PixelImage, size: number): PixelImage {
  const left = roundHalfEven((image.width - size) / 2);
  const top = roundHalfEven((image.height - size) / 2);
  return crop(image, { left, top, width: size, height: size });
}
