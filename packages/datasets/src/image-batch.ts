import type { EncodedImage, ImageSource, ImageTransform, PixelImage, Random, UnlabelledSource } from "@atlas-tv/core";
import { transformHere, type PixelRunner } from "./pixel-runner.js";

/** The labels of images of a source. */
export function labelsAt(source: ImageSource, indices: Int32Array): Int32Array {
  return indices.map((index) => source.labels[index]!);
}

/** Images of a source, all fetched at once where that is concurrent; encoded where the runner decodes. */
export function imagesAt(source: UnlabelledSource, indices: Int32Array, pixels: PixelRunner): Promise<(PixelImage | EncodedImage)[]> {
  const fetch = (index: number): Promise<PixelImage | EncodedImage> =>
    pixels.decodes && source.encoded !== undefined ? source.encoded(index) : source.image(index);
  return Promise.all(Array.from(indices, fetch));
}

/** The pixels of images of a source, transformed in order. */
export async function pixelsAt(
  { source, transform, pixels = transformHere }: {
    readonly source: UnlabelledSource;
    readonly transform: ImageTransform;
    readonly pixels?: PixelRunner;
  },
  indices: Int32Array,
  random: Random,
): Promise<PixelImage[]> {
  return pixels.run(await imagesAt(source, indices, pixels), transform, random);
}

/**
 * Runs `make` for 0 … count − 1 with the next `depth` results in the making while the consumer works on the current
 * one. Each starts in a task of its own, so that it fills the time the consumer waits for the backend.
 */
export async function* ahead<T>(count: number, depth: number, make: (index: number) => Promise<T>): AsyncGenerator<T, void, undefined> {
  const making: Promise<T>[] = [];
  let started = 0;
  const start = (): void => {
    const index = started++;
    const made = index === 0 ? make(0) : new Promise<void>((resume) => setTimeout(resume, 0)).then(() => make(index));
    // A consumer that stops early never awaits this one.
    made.catch(() => undefined);
    making.push(made);
  };
  for (let index = 0; index < count; index++) {
    if (started === index) start();
    const current = await making.shift()!;
    while (started < count && making.length < depth) start();
    yield current;
  }
}
