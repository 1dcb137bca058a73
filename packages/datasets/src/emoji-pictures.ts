import { readFileSync } from "node:fs";
import { InputError } from "@atlas-tv/core";
import { decode, type DecodedPng } from "fast-png";
import sharp from "sharp";

/** Side of a decoded picture in pixels. */
export const EMOJI_SIZE = 32;

/** Vector pictures are drawn larger and averaged down, as the 64-pixel files are. */
const DRAWN_SIZE = 64;

/** A 32 × 32 picture with opacity: red, green, blue (not multiplied by the opacity) and opacity, 0…255. */
export type EmojiPicture = Uint8Array;

/** Reads a PNG or SVG file as a 32 × 32 picture; other aspect ratios are centred on transparent ground. */
export async function readEmojiPicture(path: string): Promise<EmojiPicture> {
  const bytes = readFileSync(path);
  if (path.endsWith(".svg")) return drawSvg(bytes);
  const { width, height, data } = withOpacity(decode(bytes), path);
  return averageDown(data, width, height);
}

/** Draws an SVG document at 64 × 64 and averages it down to 32 × 32. */
export async function drawSvg(svg: Uint8Array | string): Promise<EmojiPicture> {
  const { data, info } = await sharp(typeof svg === "string" ? Buffer.from(svg) : svg, { density: 144 })
    .resize(DRAWN_SIZE, DRAWN_SIZE, { fit: "contain", background: { r: 0, g: 0, b: 0, alpha: 0 } })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return averageDown(data, info.width, info.height);
}

interface Opaque {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Palette, grey and RGB images as RGBA. */
function withOpacity({ width, height, channels, depth, data, palette }: DecodedPng, path: string): Opaque {
  if (depth === 16 || !(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw new InputError({ where: path, got: `${depth} bits per channel`, expected: "a PNG of at most 8 bits per channel" });
  }
  const rgba = new Uint8Array(width * height * 4);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const at = pixel * 4;
    if (palette !== undefined) {
      const entry = palette[indexAt(data, depth, width, pixel)] ?? [0, 0, 0, 0];
      for (let channel = 0; channel < 4; channel++) rgba[at + channel] = entry[channel] ?? 255;
    } else {
      const colours = channels >= 3 ? 3 : 1;
      for (let channel = 0; channel < 3; channel++) rgba[at + channel] = data[pixel * channels + (colours === 3 ? channel : 0)]!;
      rgba[at + 3] = channels > colours ? data[pixel * channels + colours]! : 255;
    }
  }
  return { width, height, data: rgba };
}

/** Palette indices of 1, 2 and 4 bits are packed, most significant first, each row starting on a byte. */
function indexAt(data: Uint8Array | Uint8ClampedArray, depth: number, width: number, pixel: number): number {
  if (depth === 8) return data[pixel]!;
  const [row, column] = [Math.floor(pixel / width), pixel % width];
  const perByte = 8 / depth;
  const byte = data[row * Math.ceil(width / perByte) + Math.floor(column / perByte)]!;
  return (byte >> (8 - depth * ((column % perByte) + 1))) & ((1 << depth) - 1);
}

/** Box average to 32 × 32 with colours weighted by opacity. */
function averageDown(data: Uint8Array, width: number, height: number): EmojiPicture {
  const picture = new Uint8Array(EMOJI_SIZE * EMOJI_SIZE * 4);
  for (let y = 0; y < EMOJI_SIZE; y++) {
    const [top, bottom] = [Math.floor((y * height) / EMOJI_SIZE), Math.ceil(((y + 1) * height) / EMOJI_SIZE)];
    for (let x = 0; x < EMOJI_SIZE; x++) {
      const [left, right] = [Math.floor((x * width) / EMOJI_SIZE), Math.ceil(((x + 1) * width) / EMOJI_SIZE)];
      const sums = [0, 0, 0, 0];
      for (let v = top; v < bottom; v++) {
        for (let u = left; u < right; u++) {
          const at = (v * width + u) * 4;
          const opacity = data[at + 3]!;
          for (let channel = 0; channel < 3; channel++) sums[channel]! += data[at + channel]! * opacity;
          sums[3]! += opacity;
        }
      }
      const at = (y * EMOJI_SIZE + x) * 4;
      for (let channel = 0; channel < 3; channel++) picture[at + channel] = sums[3] === 0 ? 0 : Math.round(sums[channel]! / sums[3]!);
      picture[at + 3] = Math.round(sums[3]! / ((bottom - top) * (right - left)));
    }
  }
  return picture;
}

/** The picture on a ground of one colour (white by default), as 32 × 32 RGB. */
export function onGround(picture: EmojiPicture, ground: readonly [number, number, number] = [255, 255, 255]): Uint8Array {
  const rgb = new Uint8Array(EMOJI_SIZE * EMOJI_SIZE * 3);
  for (let pixel = 0; pixel < EMOJI_SIZE * EMOJI_SIZE; pixel++) {
    const opacity = picture[pixel * 4 + 3]! / 255;
    for (let channel = 0; channel < 3; channel++) {
      rgb[pixel * 3 + channel] = Math.round(picture[pixel * 4 + channel]! * opacity + ground[channel]! * (1 - opacity));
    }
  }
  return rgb;
}
