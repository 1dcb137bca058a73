import { InputError, pixelImage, type ImageSource, type PixelImage } from "@atlas-tv/core";

/** Bytes of decoded images that a cached source keeps. */
export const DECODED_CACHE_BYTES = 256 * 2 ** 20;

export interface MemorySourceOptions {
  readonly name: string;
  readonly classNames: readonly string[];
  readonly labels: Int32Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** All images one after the other. */
  readonly data: Uint8Array;
  /** Black pixels added on every side. Default 0. */
  readonly border?: number;
}

function requireIndex(name: string, index: number, length: number): void {
  if (Number.isInteger(index) && index >= 0 && index < length) return;
  throw new InputError({ where: `image of ${name}`, got: `index ${index}`, expected: `0 to ${length - 1}` });
}

function padded(image: PixelImage, border: number): PixelImage {
  const { channels } = image;
  const width = image.width + 2 * border;
  const height = image.height + 2 * border;
  const data = new Uint8Array(width * height * channels);
  const row = image.width * channels;
  for (let y = 0; y < image.height; y++) {
    data.set(image.data.subarray(y * row, (y + 1) * row), ((y + border) * width + border) * channels);
  }
  return { width, height, channels, data };
}

/**
 * Images of one size that lie decoded in memory.
 * @throws InputError when data, labels and class names do not fit together.
 */
export function memorySource(options: MemorySourceOptions): ImageSource {
  const { name, classNames, labels, width, height, channels, data, border = 0 } = options;
  const stride = width * height * channels;
  if (data.length !== labels.length * stride) {
    throw new InputError({
      where: name,
      got: `${data.length} bytes of pixels`,
      expected: `${labels.length} images × ${stride} = ${labels.length * stride}`,
    });
  }
  const wrong = labels.find((label) => label < 0 || label >= classNames.length);
  if (wrong !== undefined) {
    throw new InputError({
      where: name,
      got: `label ${wrong}`,
      expected: `0 to ${classNames.length - 1}, as there are ${classNames.length} class names`,
    });
  }
  return {
    name,
    length: labels.length,
    classNames,
    labels,
    image: async (index) => {
      requireIndex(name, index, labels.length);
      const image = pixelImage({ width, height, channels, data: data.subarray(index * stride, (index + 1) * stride) });
      return border === 0 ? image : padded(image, border);
    },
  };
}

/** The images of a source at `indices`, under positions 0 … indices.length − 1. */
export function subset(source: ImageSource, indices: Int32Array, name = source.name): ImageSource {
  const wrong = indices.find((index) => index < 0 || index >= source.length);
  if (wrong !== undefined) requireIndex(source.name, wrong, source.length);
  const at = (position: number): number => {
    requireIndex(name, position, indices.length);
    return indices[position]!;
  };
  const encoded = source.encoded?.bind(source);
  return {
    name,
    length: indices.length,
    classNames: source.classNames,
    labels: indices.map((index) => source.labels[index]!),
    image: async (position) => source.image(at(position)),
    ...(encoded === undefined ? {} : { encoded: async (position: number) => encoded(at(position)) }),
  };
}

/** Decodes each image once and keeps it, until `limitBytes` are kept; images beyond that are decoded each time. */
export function cachedSource(source: ImageSource, limitBytes = DECODED_CACHE_BYTES): ImageSource {
  const kept = new Map<number, PixelImage>();
  let bytes = 0;
  return {
    ...source,
    image: async (index) => {
      const known = kept.get(index);
      if (known !== undefined) return known;
      const image = await source.image(index);
      if (!kept.has(index) && bytes + image.data.length <= limitBytes) {
        kept.set(index, image);
        bytes += image.data.length;
      }
      return image;
    },
  };
}
