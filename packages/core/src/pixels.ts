import { InputError } from "./errors.js";
import type { PixelImage } from "./image-source.js";
import type { EncoderInputs } from "./objective.js";

/** What an encoder was trained with: inputs are (x / 255 − mean) / std, per RGB channel. */
export interface Normalisation {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** The constants of OpenAI's CLIP. */
export const CLIP_NORMALISATION: Normalisation = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};

/** 0…255 to −1…1, as the mini-CLIP takes it. */
export const HALF_NORMALISATION: Normalisation = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

/** Checks that the pixels fill the image, and returns it. */
export function pixelImage(image: PixelImage, where = "image"): PixelImage {
  const { width, height, channels, data } = image;
  if (width < 1 || height < 1 || !Number.isInteger(width) || !Number.isInteger(height)) {
    throw new InputError({ where, got: `${width} × ${height} pixels`, expected: "a width and a height of at least 1" });
  }
  if (data.length !== width * height * channels) {
    throw new InputError({
      where,
      got: `${data.length} values`,
      expected: `${width} × ${height} × ${channels} = ${width * height * channels}`,
    });
  }
  return image;
}

/** The image as RGB: a palette is looked up, gray is repeated, alpha is dropped. RGB is returned as it is. */
export function toRgb(image: PixelImage): PixelImage {
  const { width, height, channels, data, palette } = image;
  if (channels === 3) return image;
  const count = width * height;
  const rgb = new Uint8Array(count * 3);
  for (let i = 0, at = 0; i < count; i++, at += 3) {
    const from = i * channels;
    if (palette !== undefined) {
      const entry = data[i]! * 3;
      rgb[at] = palette[entry]!;
      rgb[at + 1] = palette[entry + 1]!;
      rgb[at + 2] = palette[entry + 2]!;
    } else if (channels === 4) {
      rgb[at] = data[from]!;
      rgb[at + 1] = data[from + 1]!;
      rgb[at + 2] = data[from + 2]!;
    } else {
      rgb[at] = rgb[at + 1] = rgb[at + 2] = data[from]!;
    }
  }
  return { width, height, channels: 3, data: rgb };
}

/** The normalised value of each byte, 256 per channel; each operation rounded to float32, as torchvision does. */
function normalisationTable({ mean, std }: Normalisation): Float32Array {
  const table = new Float32Array(768);
  for (let channel = 0; channel < 3; channel++) {
    for (let value = 0; value < 256; value++) {
      const centred = Math.fround(Math.fround(value / 255) - Math.fround(mean[channel]!));
      table[channel * 256 + value] = centred / Math.fround(std[channel]!);
    }
  }
  return table;
}

/** Normalised RGB values of one image into `out` from `offset`. */
function writeNormalised(image: PixelImage, table: Float32Array, out: Float32Array, offset: number): void {
  if (image.channels === 1 && image.palette === undefined) {
    const { data } = image;
    for (let i = 0, at = offset; i < data.length; i++, at += 3) {
      const value = data[i]!;
      out[at] = table[value]!;
      out[at + 1] = table[256 + value]!;
      out[at + 2] = table[512 + value]!;
    }
    return;
  }
  const { data } = toRgb(image);
  for (let i = 0, at = offset; i < data.length; i += 3, at += 3) {
    out[at] = table[data[i]!]!;
    out[at + 1] = table[256 + data[i + 1]!]!;
    out[at + 2] = table[512 + data[i + 2]!]!;
  }
}

/**
 * Images of one size as inputs of an image encoder, `(batch, H, W, 3)`.
 * @throws InputError when sizes differ or there is no image.
 */
export function imageInputs(images: readonly PixelImage[], normalisation: Normalisation): EncoderInputs {
  const first = images[0];
  if (first === undefined) throw new InputError({ where: "imageInputs", got: "no images", expected: "at least one" });
  const { width, height } = first;
  const stride = width * height * 3;
  const table = normalisationTable(normalisation);
  const data = new Float32Array(images.length * stride);
  images.forEach((image, row) => {
    if (image.width !== width || image.height !== height) {
      throw new InputError({
        where: `imageInputs, image ${row}`,
        got: `${image.width} × ${image.height} pixels`,
        expected: `${width} × ${height}, as the first of the batch`,
      });
    }
    writeNormalised(pixelImage(image, `imageInputs, image ${row}`), table, data, row * stride);
  });
  return { data, shape: [images.length, height, width, 3] };
}
