/**
 * A training step on a backend: milliseconds, tfjs's kernels counted, and the time of each. The programs of `cpu` are no kernels
 * of tfjs; `npm run bench` takes those apart.
 *
 *     npm run bench -- --backend cpu|webgpu|cuda|tfjs-wasm [--model mini|vit-b-32] [--vectors 8] [--batch 64] [--repeats 5] [--json FILE]
 */
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { knownModel, visionSpec } from "@atlas-tv/clip";
import { blockwise, float32ToFloat16, InputError, PlainBackend, Random, randomParameters, sizeOf } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { findSwiftShader, hasGraphicsDriver } from "./webgpu.mjs";

const MODELS = {
  mini: {
    embed_dim: 128,
    quick_gelu: true,
    vision_cfg: { image_size: 32, layers: 4, width: 128, head_width: 32, patch_size: 8 },
    text_cfg: { context_length: 16, vocab_size: 2000, width: 128, heads: 4, layers: 1 },
  },
  "vit-b-32": knownModel("ViT-B-32"),
};

const WARM_UPS = 2;

const BACKENDS = {
  cpu: async () => new (await import("@atlas-tv/backend-cpu")).CpuBackend(),
  webgpu: async () => {
    if (!hasGraphicsDriver()) process.env.VK_ICD_FILENAMES = findSwiftShader() ?? "";
    return new (await import("@atlas-tv/backend-webgpu")).WebGpuBackend();
  },
  cuda: async () => new (await import("@atlas-tv/backend-cuda")).CudaBackend({ allowCpu: process.env.ATLAS_CUDA_ALLOW_CPU === "1" }),
  "tfjs-wasm": async () => {
    const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
    setWasmPaths(join(dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist/"));
    return new PlainBackend("wasm");
  },
};

function count(flags, name) {
  const value = Number(flags[name]);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InputError({ where: `--${name}`, got: flags[name], expected: "a whole number, at least 1" });
}

function choice(flags, name, table) {
  if (Object.hasOwn(table, flags[name])) return table[flags[name]];
  throw new InputError({ where: `--${name}`, got: flags[name], expected: `one of ${Object.keys(table).join(", ")}` });
}

/** Normal numbers are slow to draw by the hundred million; the arithmetic does not care. */
function vectorsOf(spec, n) {
  const halves = float32ToFloat16(Float32Array.from({ length: 4099 }, (_, i) => 0.01 * Math.sin(i * i)));
  const fill = (size, shift) => Uint16Array.from({ length: size }, (_, i) => halves[(i + shift) % halves.length]);
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

/** Calls and milliseconds by kernel, the slowest first. Where the device cannot tell the time of a kernel it is 0. */
async function kernelsOf(step) {
  const { kernels } = await tf.profile(async () => {
    await step();
    return [];
  });
  const byName = new Map();
  for (const { name, kernelTimeMs } of kernels) {
    const sum = byName.get(name) ?? byName.set(name, { kernel: name, calls: 0, ms: 0 }).get(name);
    sum.calls++;
    if (typeof kernelTimeMs === "number") sum.ms += kernelTimeMs;
  }
  // tfjs reports the scopes of its gradients among the kernels.
  for (const scope of ["forward", "backward", "unnamed scope"]) byName.delete(scope);
  return [...byName.values()].sort((a, b) => b.ms - a.ms || b.calls - a.calls);
}

const { values: flags } = parseArgs({
  options: {
    backend: { type: "string", default: "webgpu" },
    model: { type: "string", default: "mini" },
    vectors: { type: "string", default: "8" },
    batch: { type: "string", default: "64" },
    repeats: { type: "string", default: "5" },
    json: { type: "string" },
  },
});
const spec = visionSpec(choice(flags, "model", MODELS));
const [n, batch, repeats] = ["vectors", "batch", "repeats"].map((name) => count(flags, name));
const backend = await choice(flags, "backend", BACKENDS)();
await backend.activate();
const { device } = await backend.probe();

const encoder = await backend.compile(spec, randomParameters(spec, new Random(1)), vectorsOf(spec, n), blockwise());
const shape = [batch, spec.imageSize, spec.imageSize, 3];
const images = tf.tensor(Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 0.37)), shape);
const direction = tf.ones([batch, spec.outputWidth]);
const coefficients = encoder.initialCoefficients();
const step = async () => {
  const composed = await encoder.compose(coefficients);
  const pass = await composed.forward(images);
  await pass.backward(direction);
  pass.dispose();
  composed.dispose();
};
const stepMs = await timed(repeats, step);
const composed = await encoder.compose(coefficients);
const featuresMs = await timed(repeats, async () => {
  const features = await composed.features(images);
  await features.data();
  features.dispose();
});
composed.dispose();
const kernels = await kernelsOf(step);
const { numTensors, numBytes } = tf.memory();
encoder.dispose();

const result = {
  backend: backend.id, device, model: flags.model, batch, vectors: n, stepMs, featuresMs,
  kernelCalls: kernels.reduce((sum, { calls }) => sum + calls, 0), tensors: numTensors, tensorMegabytes: numBytes / 1e6,
};
const shortened = (_key, value) => (typeof value === "number" ? Number(value.toPrecision(4)) : value);
console.log(JSON.stringify(result, shortened, 1));
console.log("\nkernel                    calls        ms");
for (const { kernel, calls, ms } of kernels) console.log(`${kernel.padEnd(24)} ${String(calls).padStart(6)} ${ms.toFixed(2).padStart(9)}`);
if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify({ ...result, kernels }, null, 2)}\n`);
