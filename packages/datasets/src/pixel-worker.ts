/** The program of a pixel worker: decodes and transforms the images of one job after the other. */
import { parentPort } from "node:worker_threads";
import { InputError, Random, transformOf, type EncodedImage, type PixelImage } from "@atlas-tv/core";
import { decodeImage } from "./image-file.js";
import type { PixelAnswer, PixelJob } from "./pixel-job.js";
import { DECODED_CACHE_BYTES } from "./sources.js";

/** Decoded files by name and length: a few shots come again in every epoch. */
const decoded = new Map<string, PixelImage>();
let decodedBytes = 0;

async function decode({ bytes, where }: EncodedImage): Promise<PixelImage> {
  const key = `${bytes.length} ${where}`;
  const known = decoded.get(key);
  if (known !== undefined) return known;
  const image = await decodeImage(bytes, where);
  if (decodedBytes + image.data.length <= DECODED_CACHE_BYTES) {
    decoded.set(key, image);
    decodedBytes += image.data.length;
  }
  return image;
}

async function answer({ id, images, recipe, seed }: PixelJob): Promise<PixelAnswer> {
  try {
    const transform = transformOf(recipe);
    const random = new Random(seed);
    const made: PixelImage[] = [];
    for (const image of images) made.push(transform.pixels("bytes" in image ? await decode(image) : image, random));
    return { id, images: made };
  } catch (error) {
    if (error instanceof InputError) return { id, facts: error.facts };
    return { id, message: error instanceof Error ? error.message : String(error) };
  }
}

const port = parentPort;
if (port === null) throw new Error("this module is the program of a worker thread");
port.on("message", (job: PixelJob) => {
  void answer(job).then((result) => {
    port.postMessage(result);
  });
});
