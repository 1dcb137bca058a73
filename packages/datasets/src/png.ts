import { InputError, pixelImage, type PixelImage } from "@atlas-tv/core";
import { decode, type DecodedPng } from "fast-png";

/** Most pixels of an image we decode: a header of a few bytes must not ask for more memory than a photograph needs. */
export const MAX_PIXELS = 2 ** 28;

/** Signature and IHDR chunk. */
const HEADER_BYTES = 33;
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Whether bytes begin with the signature of a PNG file. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, index) => bytes[index] === byte);
}

/** Samples of 1, 2 or 4 bits, packed from the high end and rows padded to bytes, as one byte each. */
function unpack({ width, height, channels, depth, data }: DecodedPng): Uint8Array {
  const rowLength = width * channels;
  const rowBytes = Math.ceil((rowLength * depth) / 8);
  const mask = (1 << depth) - 1;
  const out = new Uint8Array(rowLength * height);
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < rowLength; i++) {
      const bit = i * depth;
      out[y * rowLength + i] = (data[y * rowBytes + (bit >> 3)]! >> (8 - depth - (bit & 7))) & mask;
    }
  }
  return out;
}

function bytesOf(png: DecodedPng): Uint8Array {
  switch (png.depth) {
    case 8: return new Uint8Array(png.data.buffer, png.data.byteOffset, png.data.length);
    // The high byte, as Pillow reads it.
    case 16: return Uint8Array.from(png.data, (value) => value >> 8);
    default: return unpack(png);
  }
}

function asPixelImage(png: DecodedPng): PixelImage {
  const { width, height, depth, channels } = png;
  const data = bytesOf(png);
  if (png.palette !== undefined && channels === 1) {
    return { width, height, channels: 1, data, palette: Uint8Array.from(png.palette.flatMap((colour) => colour.slice(0, 3))) };
  }
  if (depth < 8) {
    // One bit is black or white to Pillow, a mode that it resizes like a palette; two and four bits are gray.
    if (depth === 1) return { width, height, channels: 1, data, palette: Uint8Array.of(0, 0, 0, 255, 255, 255) };
    const step = 255 / (2 ** depth - 1);
    return { width, height, channels: 1, data: data.map((value) => value * step) };
  }
  return { width, height, channels: channels as PixelImage["channels"], data };
}

/** Turns away what the decoder would take too much memory for, or would decode wrongly. */
function checkHeader(bytes: Uint8Array): void {
  if (!isPng(bytes)) throw new Error("it has no PNG signature");
  if (bytes.length < HEADER_BYTES) throw new RangeError("it ends within its header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pixels = view.getUint32(16) * view.getUint32(20);
  if (pixels > MAX_PIXELS) throw new RangeError(`its header says ${pixels} pixels, more than ${MAX_PIXELS}`);
  if (bytes[24]! < 8 && bytes[28] !== 0) throw new Error("it is interlaced with less than 8 bits, which is not supported");
}

/**
 * Decodes a PNG and keeps its mode (gray, RGB, alpha, palette), because it decides how the image is resized.
 * A single transparent colour is ignored.
 * @throws InputError naming `where` for bytes that are not a whole PNG.
 */
export function decodePng(bytes: Uint8Array, where = "PNG"): PixelImage {
  try {
    // A copy of its own, so that a file cut short is not continued by what else lies in the buffer.
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
    checkHeader(own);
    return pixelImage(asPixelImage(decode(own, { checkCrc: true })), where);
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    // The decoder leaves a colon where its own cause has no words.
    const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/:\s*$/, "");
    throw new InputError({
      where,
      got: `a damaged PNG (${reason})`,
      expected: "a whole PNG image",
      next: "replace or remove the file",
    }, { cause });
  }
}
