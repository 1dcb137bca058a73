/**
 * Milliseconds of a training step and of features, and their ratios to the time that the needed matrix products alone
 * take on this machine; where the time goes; memory. Each case runs in a process of its own.
 *
 *     npm run bench -- [--only mini|vit-b-32|vit-l-14|rn50] [--vectors 1,4,8,21] [--repeats 5] [--threads 2] [--json FILE]
 */
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    vectors: { type: "string" },
    repeats: { type: "string", default: "5" },
    threads: { type: "string", default: String(availableParallelism()) },
    json: { type: "string", default: "runs/bench-cpu.json" },
  },
});

const numbers = (text) => text.split(",").map(Number);

/** ViT-L/14 is slow and large, RN50 another family: they are measured when they are asked for. */
const MODELS = {
  mini: { model: "mini-CLIP", batch: 64, vectors: [8], withDefault: true, asked: false },
  "vit-b-32": { model: "ViT-B-32", batch: 32, vectors: [1, 4, 8, 21], withDefault: false, asked: false },
  "vit-l-14": { model: "ViT-L-14", batch: 16, vectors: [8], withDefault: false, asked: true, recompute: true },
  rn50: { model: "RN50", batch: 8, vectors: [2], withDefault: false, asked: true },
};

const CASE = fileURLToPath(new URL("case.mjs", import.meta.url));
const run = promisify(execFile);

async function measured(options) {
  const { stdout } = await run(process.execPath, [CASE, JSON.stringify(options)], { maxBuffer: 2 ** 24 });
  return JSON.parse(stdout);
}

const percent = (share) => `${(100 * share).toFixed(0)} %`;

function describe({ model, batch, vectors, threads, stepMs, floorMs, stepRatio, stepRatioUncopied, gflops, gflopsUncopied, featuresMs,
  featuresRatio, featuresPerSecond, shares, peakMegabytes, coldStartSeconds, timesFasterThanDefault, marginal }) {
  const lines = [
    `${model}, batch ${batch}, ${vectors} task vectors (f16), ${threads} threads`,
    `  products  ${gflops.toFixed(0)} GFLOPS in one matrix product by onnxruntime-node, ${gflopsUncopied.toFixed(0)} without its copy of the result`,
    `  step      ${stepMs.min.toFixed(0)} ms (median ${stepMs.median.toFixed(0)}), ${stepRatio.toFixed(2)} × the products' ${floorMs.step.toFixed(0)} ms; ${stepRatioUncopied.toFixed(2)} × without copies`,
  ];
  if (marginal !== undefined) lines.push(`  vector    ${marginal.ms.toFixed(0)} ms and ${marginal.megabytes.toFixed(0)} MB for each further one`);
  if (featuresMs !== undefined) {
    lines.push(`  features  ${featuresMs.min.toFixed(0)} ms (median ${featuresMs.median.toFixed(0)}), ${featuresRatio.toFixed(2)} × ${floorMs.forward.toFixed(0)} ms, ${featuresPerSecond.toFixed(0)} a second`);
  }
  lines.push(
    `  time      ${percent(shares.products)} matrix products, ${percent(shares.composition)} composition, ${percent(shares.rest)} the rest`,
    `  memory    ${peakMegabytes.toFixed(0)} MB at most; first step after ${coldStartSeconds.toFixed(1)} s`,
  );
  if (timesFasterThanDefault !== undefined) lines.push(`  ${timesFasterThanDefault.toFixed(1)} × as fast as core's default on tfjs-backend-wasm`);
  return lines.join("\n");
}

const names = flags.only === undefined ? Object.keys(MODELS).filter((name) => !MODELS[name].asked) : [flags.only];
if (names.some((name) => MODELS[name] === undefined)) {
  console.error(`--only\n  got: ${flags.only}\n  expected: one of ${Object.keys(MODELS).join(", ")}`);
  process.exit(2);
}
const results = [];
for (const name of names) {
  const { asked: _, withDefault, recompute = false, ...own } = MODELS[name];
  const fixed = { ...own, recompute, threads: Number(flags.threads), repeats: Number(flags.repeats) };
  let before = null;
  for (const vectors of flags.vectors === undefined ? own.vectors : numbers(flags.vectors)) {
    const options = { ...fixed, vectors };
    const result = await measured({ ...options, withDefault, features: true });
    Object.assign(result, await measured({ ...options, profile: true }));
    if (before !== null) {
      const more = vectors - before.vectors;
      result.marginal = { ms: (result.stepMs.min - before.stepMs.min) / more, megabytes: (result.peakMegabytes - before.peakMegabytes) / more };
    }
    before = result;
    results.push(result);
    console.log(describe(result));
  }
}
const file = resolve(flags.json);
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
console.log(`\n${file}`);
