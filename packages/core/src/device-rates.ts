import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";

/** What a device achieved in a short probe; the best of several runs. */
export interface DeviceRates {
  /** Floating-point operations a second of a product of two square float32 matrices: 2 n³ each. */
  readonly flops: number;
  /** Bytes a second that the sums over the rows of a large float32 matrix read. */
  readonly bytesPerSecond: number;
}

/** How long a probe takes, once its matrices are made. */
export const PROBE_SECONDS = 0.5;

/** Sides of the matrices that are multiplied; the first that keeps the device busy for `BUSY_SECONDS` is taken. */
const SIDES = [256, 512, 1024, 2048, 4096];

/** Against this, the time to start an operation and to wait for its end is small. */
const BUSY_SECONDS = 0.01;

/** 120 MiB: more than caches hold, and less than the 128 MiB that every WebGPU adapter binds. */
const ROWS = 8192;
const COLUMNS = 3840;

/** Seconds of one run on the active tfjs backend, up to the moment when a number of its result is here. */
async function secondsOf(run: () => Tensor): Promise<number> {
  const start = performance.now();
  const result = tf.tidy(() => tf.slice(tf.reshape(run(), [-1]), [0], [1]));
  await result.data();
  result.dispose();
  return (performance.now() - start) / 1000;
}

/** The shortest of the runs that fit into some seconds; at least one. */
async function shortest(run: () => Tensor, seconds: number): Promise<number> {
  const end = performance.now() + 1000 * seconds;
  let best = Infinity;
  do best = Math.min(best, await secondsOf(run));
  while (performance.now() < end);
  return best;
}

async function productRate(seconds: number): Promise<number> {
  let rate = 0;
  for (const side of SIDES) {
    const matrix = tf.fill([side, side], 0.5);
    const run = (): Tensor => tf.matMul(matrix as tf.Tensor2D, matrix as tf.Tensor2D);
    // The first run compiles what has to be compiled.
    await secondsOf(run);
    const enough = (await secondsOf(run)) >= BUSY_SECONDS || side === SIDES.at(-1);
    if (enough) rate = (2 * side ** 3) / (await shortest(run, seconds));
    matrix.dispose();
    if (enough) break;
  }
  return rate;
}

async function readRate(seconds: number): Promise<number> {
  const matrix = tf.fill([ROWS, COLUMNS], 0.5);
  const run = (): Tensor => tf.sum(matrix, 1);
  await secondsOf(run);
  const best = await shortest(run, seconds);
  matrix.dispose();
  return (4 * ROWS * COLUMNS) / best;
}

/** Measures the active tfjs backend, half of the time each rate. */
export async function measureTensorRates(seconds = PROBE_SECONDS): Promise<DeviceRates> {
  return { flops: await productRate(seconds / 2), bytesPerSecond: await readRate(seconds / 2) };
}
