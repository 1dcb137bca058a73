import { InputError, pixelImage, type PixelImage } from "@atlas-tv/core";
import { fileBeginning } from "./file-beginning.js";
import { decodePng, isPng, MAX_PIXELS } from "./png.js";

const EXPECTED = "an image that this browser decodes, such as PNG, JPEG or WebP";

/** RGB where every pixel is opaque, as in photographs; with alpha otherwise. */
function withoutNeedlessAlpha(image: PixelImage): PixelImage {
  const { width, height, data } = image;
  for (let at = 3; at < data.length; at += 4) if (data[at] !== 255) return image;
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    rgb[to++] = data[from]!;
    rgb[to++] = data[from + 1]!;
    rgb[to++] = data[from + 2]!;
  }
  return { width, height, channels: 3, data: rgb };
}

function pixelsOf(bitmap: ImageBitmap, where: string): PixelImage {
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) {
    throw new InputError({ where, got: `an image of ${width} × ${height} pixels`, expected: `at most ${MAX_PIXELS} pixels` });
  }
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  return withoutNeedlessAlpha({ width, height, channels: 4, data: new Uint8Array(data.buffer) });
}

/**
 * Decodes an image that a person dropped, picked or pasted in a browser. PNG is decoded as in Node, palette and alpha
 * kept; anything else by the browser, without colour management and turned as its camera says.
 * @throws InputError naming `where` and what the bytes begin with, when they are no image that the browser knows.
 */
export async function decodeImageBlob(blob: Blob, where = "image"): Promise<PixelImage> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  if (isPng(bytes)) return decodePng(bytes, where);
  if (typeof createImageBitmap !== "function") {
    throw new InputError({ where, got: fileBeginning(bytes), expected: "a PNG image, the one kind that is decoded outside browsers" });
  }
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch (cause) {
    throw new InputError({ where, got: fileBeginning(bytes), expected: EXPECTED, next: "convert it to PNG or JPEG" }, { cause });
  }
  try {
    return pixelImage(pixelsOf(bitmap, where), where);
  } finally {
    bitmap.close();
  }
}
