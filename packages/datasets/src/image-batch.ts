import { imageInputs, type ImageSource, type ImageTransform, type LabelledBatch, type PixelImage } from "@atlas-tv/core";

/** The labels of images of a source. */
export function labelsAt(source: ImageSource, indices: Int32Array): Int32Array {
  return indices.map((index) => source.labels[index]!);
}

/** Decodes images, all at once where decoding is concurrent, then transforms them in order. */
export async function imagesAt(
  options: { readonly source: ImageSource; readonly transform: ImageTransform },
  indices: Int32Array,
  pixels: (images: PixelImage[]) => PixelImage[],
): Promise<LabelledBatch> {
  const { source, transform } = options;
  const images = await Promise.all(Array.from(indices, (index) => source.image(index)));
  return { images: imageInputs(pixels(images), transform.normalisation), labels: labelsAt(source, indices) };
}

/**
 * Runs `make` for 0 … count − 1 with the next result in the making while the consumer works on the current one.
 * The next one starts in a task of its own, so that it fills the time the consumer waits for the backend.
 */
export async function* oneAhead<T>(count: number, make: (index: number) => Promise<T>): AsyncGenerator<T, void, undefined> {
  let next = count > 0 ? make(0) : null;
  for (let index = 1; next !== null; index++) {
    const current = await next;
    next = index < count ? new Promise<void>((resume) => setTimeout(resume, 0)).then(() => make(index)) : null;
    // A consumer that stops early never awaits this one.
    next?.catch(() => undefined);
    yield current;
  }
}
