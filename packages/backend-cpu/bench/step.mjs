/**
 * Milliseconds of a training step and its ratio to the floor that matrix products alone set.
 *
 *     node bench/step.mjs [--only mini|vit-b-32] [--vectors 4] [--batch 32] [--repeats 5] [--threads 2] [--json FILE]
 */
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { knownModel, visionSpec } from "@atlas-tv/clip";
import { blockwise, compileDefault, float32ToFloat16, Random, randomParameters, sizeOf } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { measureProductRate } from "./product-rate.mjs";

const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    vectors: { type: "string" },
    batch: { type: "string" },
    repeats: { type: "string", default: "5" },
    threads: { type: "string", default: String(availableParallelism()) },
    json: { type: "string" },
  },
});
const threads = Number(flags.threads);
const WARM_UPS = 2;

/** Floating-point operations of the matrix products that are needed: forward alone, and with both gradients. */
function productFlops({ imageSize, patchSize, width, layers, mlpWidth, outputWidth }, batch) {
  const patches = (imageSize / patchSize) ** 2;
  const tokens = patches + 1;
  const rows = batch * tokens;
  const embedding = 2 * batch * patches * width * 3 * patchSize ** 2;
  const full = 2 * rows * width * (4 * width + 2 * mlpWidth) + 4 * rows * tokens * width;
  const last = 2 * rows * width * 2 * width + 2 * batch * width * (2 * width + 2 * mlpWidth) + 4 * batch * tokens * width;
  const pooling = 2 * batch * width * outputWidth;
  const stages = (layers - 1) * full + last + pooling;
  return { forward: embedding + stages, step: 2 * embedding + 3 * stages };
}

/** Normal numbers are slow to draw by the hundred million; the arithmetic does not care. */
function vectorsOf(spec, n) {
  const block = float32ToFloat16(Float32Array.from({ length: 4099 }, (_, i) => 0.01 * Math.sin(i * i)));
  const fill = (size, shift) => Uint16Array.from({ length: size }, (_, i) => block[(i + shift) % block.length]);
  return Array.from({ length: n }, (_, v) => ({
    name: `vector ${v}`,
    blocks: new Map(spec.blocks.map(({ name, shape }) => [name, { dtype: "F16", shape, data: fill(sizeOf(shape), 97 * v) }])),
  }));
}

async function timed(repeats, run) {
  const times = [];
  for (let i = 0; i < WARM_UPS + repeats; i++) {
    const start = performance.now();
    await run();
    if (i >= WARM_UPS) times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return { min: times[0], median: times[Math.floor(times.length / 2)] };
}

async function stepTimes(encoder, spec, batch, repeats) {
  const shape = [batch, spec.imageSize, spec.imageSize, 3];
  const images = tf.tensor(Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 0.37)), shape);
  const direction = tf.ones([batch, spec.outputWidth]);
  const coefficients = encoder.initialCoefficients();
  const step = await timed(repeats, async () => {
    const composed = await encoder.compose(coefficients);
    const pass = await composed.forward(images);
    await pass.backward(direction);
    pass.dispose();
    composed.dispose();
  });
  const compose = await timed(repeats, async () => (await encoder.compose(coefficients)).dispose());
  const composed = await encoder.compose(coefficients);
  const features = await timed(repeats, async () => (await composed.features(images)).dispose());
  composed.dispose();
  tf.dispose([images, direction]);
  return { step, compose, features };
}

async function bench(label, spec, batch, n, withDefault) {
  const start = performance.now();
  const base = randomParameters(spec, new Random(1));
  const vectors = vectorsOf(spec, n);
  const prepared = performance.now();
  const encoder = await new CpuBackend({ threads }).compile(spec, base, vectors, blockwise());
  const images = tf.zeros([1, spec.imageSize, spec.imageSize, 3]);
  const first = await encoder.compose(encoder.initialCoefficients());
  tf.dispose([await first.features(images), images]);
  first.dispose();
  const coldStart = (performance.now() - prepared) / 1000;
  const times = await stepTimes(encoder, spec, batch, Number(flags.repeats));
  encoder.dispose();
  const rate = await measureProductRate(threads);
  const flops = productFlops(spec, batch);
  const floor = { step: flops.step / rate / 1e6, forward: flops.forward / rate / 1e6 };
  const result = {
    model: label, batch, vectors: n, threads,
    stepMs: times.step, composeMs: times.compose, featuresMs: times.features,
    featuresPerSecond: (1000 * batch) / times.features.min,
    gflops: rate, floorMs: floor,
    stepRatio: times.step.min / floor.step, featuresRatio: times.features.min / floor.forward,
    coldStartSeconds: coldStart, preparationSeconds: (prepared - start) / 1000, peakMegabytes: process.resourceUsage().maxRSS / 1024,
  };
  if (withDefault) {
    const plain = await compileDefault(spec, base, vectors, blockwise());
    result.defaultStepMs = (await stepTimes(plain, spec, batch, 2)).step;
    result.timesFasterThanDefault = result.defaultStepMs.min / times.step.min;
    plain.dispose();
  }
  return result;
}

const MINI = {
  embed_dim: 128,
  quick_gelu: true,
  vision_cfg: { image_size: 32, layers: 4, width: 128, head_width: 32, patch_size: 8 },
  text_cfg: { context_length: 16, vocab_size: 2000, width: 128, heads: 4, layers: 1 },
};

await new CpuBackend().activate();
const results = [];
if (flags.only !== "vit-b-32") {
  results.push(await bench("mini-CLIP", visionSpec(MINI), Number(flags.batch ?? 64), Number(flags.vectors ?? 8), true));
}
if (flags.only !== "mini") {
  const spec = visionSpec(knownModel("ViT-B-32"));
  results.push(await bench("ViT-B-32", spec, Number(flags.batch ?? 32), Number(flags.vectors ?? 4), false));
}
const shortened = (_key, value) => (typeof value === "number" ? Number(value.toPrecision(4)) : value);
for (const result of results) console.log(JSON.stringify(result, shortened, 1));
if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(results, null, 2)}\n`);
