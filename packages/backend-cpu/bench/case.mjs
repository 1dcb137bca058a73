/** One measurement in a process of its own, so that its peak memory is its own: `node case.mjs OPTIONS-AS-JSON`, JSON to stdout. */
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { knownModel, visionSpec } from "@atlas-tv/clip";
import { blockwise, compileDefault, sizeOf } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { productFlops } from "./model-flops.mjs";
import { ProductRate } from "./product-rate.mjs";
import { randomModel } from "./random-model.mjs";
import { resNetFlops } from "./resnet-flops.mjs";
import { profilePrograms } from "./time-shares.mjs";

const WARM_UPS = 2;
const PROFILED_STEPS = 3;

/** The architecture of the zoo's mini-CLIP. */
const MINI = {
  embed_dim: 128,
  quick_gelu: true,
  vision_cfg: { image_size: 32, layers: 4, width: 128, head_width: 32, patch_size: 8 },
  text_cfg: { context_length: 16, vocab_size: 2048, width: 128, heads: 4, layers: 1 },
};

/** @param between runs after each measured run. */
async function timed(repeats, run, between = async () => undefined) {
  const times = [];
  for (let i = 0; i < WARM_UPS + repeats; i++) {
    const start = performance.now();
    await run();
    if (i < WARM_UPS) continue;
    times.push(performance.now() - start);
    await between();
  }
  times.sort((a, b) => a - b);
  return { min: times[0], median: times[Math.floor(times.length / 2)] };
}

/** A training step but for the loss and the optimiser: compose, forward, backward to the coefficients. */
function stepOf(encoder, images, direction) {
  const coefficients = encoder.initialCoefficients();
  return async () => {
    const composed = await encoder.compose(coefficients);
    const pass = await composed.forward(images);
    await pass.backward(direction);
    pass.dispose();
    composed.dispose();
  };
}

async function measure({ model, batch, vectors: n, threads, repeats, recompute, profile, withDefault, features }) {
  const spec = visionSpec(model === "mini-CLIP" ? MINI : knownModel(model));
  const { base, vectors } = randomModel(spec, n);
  const backend = new CpuBackend({ threads });
  await backend.activate();
  const shares = profile ? profilePrograms() : null;

  const begin = performance.now();
  const encoder = await backend.compile(spec, base, vectors, blockwise(), { recompute });
  const shape = [batch, spec.imageSize, spec.imageSize, 3];
  const images = tf.tensor(Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 0.37)), shape);
  const direction = tf.ones([batch, spec.outputWidth]);
  const step = stepOf(encoder, images, direction);
  await step();
  const coldStartSeconds = (performance.now() - begin) / 1000;
  if (shares !== null) {
    let last = 0;
    for (let i = 1; i < PROFILED_STEPS; i++) {
      const start = performance.now();
      await step();
      last = performance.now() - start;
    }
    return { shares: shares(PROFILED_STEPS, last) };
  }

  const rate = await ProductRate.open(threads);
  const sample = () => rate.sample();
  const result = { model, batch, vectors: n, threads, recompute, coldStartSeconds, stepMs: await timed(repeats, step, sample) };
  if (features) {
    const composed = await encoder.compose(encoder.initialCoefficients());
    result.featuresMs = await timed(repeats, async () => (await composed.features(images)).dispose(), sample);
    result.featuresPerSecond = (1000 * batch) / result.featuresMs.min;
    composed.dispose();
  }
  result.peakMegabytes = process.resourceUsage().maxRSS / 1024;
  encoder.dispose();
  const [gflops, gflopsUncopied] = ["copied", "uncopied"].map((way) => rate.gflops(way));
  const flops = (spec.family === "resnet" ? resNetFlops : productFlops)(spec, batch);
  const floor = { step: flops.step / gflops / 1e6, forward: flops.forward / gflops / 1e6 };
  const stepRatio = result.stepMs.min / floor.step;
  Object.assign(result, { gflops, gflopsUncopied, floorMs: floor, stepRatio, stepRatioUncopied: (stepRatio * gflopsUncopied) / gflops });
  if (features) result.featuresRatio = result.featuresMs.min / floor.forward;
  if (withDefault) {
    const plain = await compileDefault(spec, base, vectors, blockwise());
    result.defaultStepMs = await timed(2, stepOf(plain, images, direction));
    result.timesFasterThanDefault = result.defaultStepMs.min / result.stepMs.min;
    plain.dispose();
  }
  return result;
}

console.log(JSON.stringify(await measure(JSON.parse(process.argv[2]))));
