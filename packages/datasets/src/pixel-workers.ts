import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { InputError, type EncodedImage, type ImageTransform, type PixelImage, type Random } from "@atlas-tv/core";
import { decodeImage } from "./image-file.js";
import type { PixelAnswer, PixelJob } from "./pixel-job.js";
import { transformHere, type PixelRunner } from "./pixel-runner.js";

/** More would decode further ahead than a step needs, and take cores from the computation. */
const MOST_WORKERS = 4;

/** Cores that the computation has for each worker. */
const CORES_PER_WORKER = 4;

const PROGRAM = "@atlas-tv/datasets/pixel-worker";

interface Waiting {
  readonly resolve: (images: PixelImage[]) => void;
  readonly reject: (error: Error) => void;
}

/** A copy that may be handed over: what the caller holds stays whole. */
function handedOver(image: PixelImage | EncodedImage): { image: PixelImage | EncodedImage; buffer: ArrayBuffer } {
  if ("bytes" in image) {
    const bytes = new Uint8Array(image.bytes);
    return { image: { where: image.where, bytes }, buffer: bytes.buffer };
  }
  const { width, height, channels, palette } = image;
  // A Buffer's own slice would share its memory, and that of all images that lie in it.
  const data = new Uint8Array(image.data);
  return { image: { width, height, channels, data, ...(palette === undefined ? {} : { palette: palette.slice() }) }, buffer: data.buffer };
}

/** One thread and the jobs it has not answered. */
class PixelThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #ended = false;

  constructor() {
    this.#worker = new Worker(createRequire(import.meta.url).resolve(PROGRAM));
    this.#worker.unref();
    this.#worker.on("message", (answer: PixelAnswer) => {
      const waiting = this.#waiting.get(answer.id)!;
      this.#forget(answer.id);
      if ("images" in answer) waiting.resolve([...answer.images]);
      else waiting.reject("facts" in answer ? new InputError(answer.facts) : new Error(answer.message));
    });
    this.#worker.on("error", (error) => {
      this.#fail(error);
    });
    this.#worker.on("exit", () => {
      this.#ended = true;
      this.#fail(new Error("the thread that prepares images ended"));
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  get load(): number {
    return this.#waiting.size;
  }

  /** The process stays alive for an answer that somebody waits for, and for nothing else. */
  #forget(id: number): void {
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
  }

  #fail(error: Error): void {
    for (const [id, { reject }] of this.#waiting) {
      this.#forget(id);
      reject(error);
    }
  }

  run(job: Omit<PixelJob, "id">): Promise<PixelImage[]> {
    const id = this.#next++;
    const copies = job.images.map(handedOver);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      const message: PixelJob = { ...job, id, images: copies.map(({ image }) => image) };
      this.#worker.postMessage(message, copies.map(({ buffer }) => buffer));
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

/**
 * Threads that decode and transform images beside the computation, which blocks the calling thread. They start with
 * the first batch and do not keep the process alive.
 */
export class PixelWorkers implements PixelRunner {
  readonly decodes = true;
  readonly depth: number;
  #threads: PixelThread[] = [];

  /** @param count threads; default one for every four cores, at least one and at most four. */
  constructor(readonly count = Math.min(MOST_WORKERS, Math.max(1, Math.floor(availableParallelism() / CORES_PER_WORKER)))) {
    this.depth = count;
  }

  #idlest(): PixelThread {
    this.#threads = this.#threads.filter(({ ended }) => !ended);
    const idle = this.#threads.find(({ load }) => load === 0);
    if (idle !== undefined) return idle;
    if (this.#threads.length < this.count) {
      const thread = new PixelThread();
      this.#threads.push(thread);
      return thread;
    }
    return this.#threads.reduce((best, thread) => (thread.load < best.load ? thread : best));
  }

  async run(images: readonly (PixelImage | EncodedImage)[], transform: ImageTransform, random: Random): Promise<PixelImage[]> {
    const { recipe } = transform;
    if (recipe !== undefined) return this.#idlest().run({ images, recipe, seed: random.seed });
    const decoded = await Promise.all(images.map(async (image) => ("bytes" in image ? decodeImage(image.bytes, image.where) : image)));
    return transformHere.run(decoded, transform, random);
  }

  /** Ends the threads; jobs that wait are rejected. */
  async end(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((thread) => thread.end()));
  }
}

let shared: PixelWorkers | null = null;

/** The workers that all batches of this process share. */
export function sharedPixelWorkers(): PixelWorkers {
  shared ??= new PixelWorkers();
  return shared;
}
