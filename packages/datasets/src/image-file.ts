import { readFile } from "node:fs/promises";
import { InputError, pixelImage, type EncodedImage, type PixelImage } from "@atlas-tv/core";
import { fileBeginning } from "./file-beginning.js";
import { decodePng, isPng, MAX_PIXELS } from "./png.js";

function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

/** Decodes a JPEG to gray or RGB without turning it or managing its colours, as Pillow does. */
async function decodeJpeg(bytes: Uint8Array, where: string): Promise<PixelImage> {
  // Loaded when the first JPEG comes: its native library is large, and most data sets do without.
  const { default: sharp } = await import("sharp");
  try {
    const options = { ignoreIcc: true, limitInputPixels: MAX_PIXELS };
    const { channels } = await sharp(bytes, options).metadata();
    const pipeline = sharp(bytes, options).toColourspace(channels === 1 ? "b-w" : "srgb").raw({ depth: "uchar" });
    const { data, info } = await pipeline.toBuffer({ resolveWithObject: true });
    const pixels = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return pixelImage({ width: info.width, height: info.height, channels: info.channels as 1 | 3, data: pixels }, where);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InputError({
      where,
      got: `a damaged JPEG (${reason})`,
      expected: "a whole JPEG image",
      next: "replace or remove the file",
    }, { cause });
  }
}

/**
 * Decodes the bytes of a PNG or JPEG file; what they begin with decides, not the file's name.
 * @throws InputError naming `where` and what the bytes begin with.
 */
export async function decodeImage(bytes: Uint8Array, where = "image"): Promise<PixelImage> {
  if (isPng(bytes)) return decodePng(bytes, where);
  if (isJpeg(bytes)) return decodeJpeg(bytes, where);
  throw new InputError({
    where,
    got: fileBeginning(bytes),
    expected: "a PNG or JPEG image",
    next: "convert the file to PNG or JPEG, or remove it",
  });
}

/** Reads a PNG or JPEG file without decoding it. */
export async function readEncoded(path: string): Promise<EncodedImage> {
  try {
    return { bytes: await readFile(path), where: path };
  } catch (cause) {
    throw new InputError({ where: path, got: "no readable file", expected: "a PNG or JPEG image" }, { cause });
  }
}

/** Reads and decodes a PNG or JPEG file. */
export async function readImage(path: string): Promise<PixelImage> {
  const { bytes } = await readEncoded(path);
  return decodeImage(bytes, path);
}
