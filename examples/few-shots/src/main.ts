import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { lppAdapter } from "@atlas-tv/adapters-lpp";
import { tipAdapter } from "@atlas-tv/adapters-tip";
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { assertWritable, openModelFolder, sha256File, writeComposition, writeRun, writeSplits, type DatasetSplit, type ModelFolder } from "@atlas-tv/checkpoints";
import { parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { accuracyGain, blockwise, InputError, isotropic, linearProbe, type Accuracy, type AdapterFactory, type CompiledEncoder, type Composition, type NamedArrays } from "@atlas-tv/core";
import { mnist } from "@atlas-tv/datasets";
import { ZOO_MODEL, zooCheckpoints } from "@atlas-tv/zoo";
import { AccuracyTable } from "./accuracy-table.js";
import { adapterAccuracy, adapterContext, drawShots, featuresOf, headAccuracy, learnFromShots, RECIPE, reportedImages, splits, type FewShotTask, type LearningOptions } from "./few-shots.js";

const TARGET = "MNIST";
const OURS = "aTLAS blockwise";
const WITH_LPP = "aTLAS, then LP++";
const WITH_TIP = "aTLAS with Tip-Adapter";

const { values: flags } = parseArgs({
  options: {
    /** Default 4,16; with adapters, which take longer, 4. */
    shots: { type: "string" },
    seeds: { type: "string", default: "1,2" },
    /** Tip-Adapter and LP++ too, each alone and with the coefficients. */
    adapters: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    /** Report on validation images of the training set instead: this is how settings are chosen. */
    validate: { type: "boolean", default: false },
    save: { type: "string", default: "runs/demo" },
  },
});
const numbers = (flag: string, text: string): number[] => {
  if (!/^\d+(,\d+)*$/.test(text)) throw new InputError({ where: flag, got: `"${text}"`, expected: "whole numbers, separated by commas" });
  return text.split(",").map(Number);
};
const { shots, seeds, epochs, images } = flags.quick
  ? { shots: [4], seeds: [1], epochs: 3, images: 2000 }
  : {
      shots: numbers("--shots", flags.shots ?? (flags.adapters ? "4" : "4,16")),
      seeds: numbers("--seeds", flags.seeds),
      epochs: RECIPE.epochs,
      images: Infinity,
    };
const folder = resolve(flags.save);
const note = (text: string): void => { process.stderr.write(`${text}\n`); };

/** The zoo's encoder, every task vector but MNIST's own, and MNIST's real images. */
async function mnistTask(model: ModelFolder): Promise<FewShotTask> {
  const backend = new CpuBackend();
  await backend.activate();
  const spec = visionSpec(parseClipConfig(model.config));
  const head = (await model.head(TARGET))!;
  const others = model.tasks.filter((task) => task !== TARGET);
  const vectors = await Promise.all(others.map((task) => model.taskVector(task, spec)));
  return { backend, spec, base: await model.base(spec), vectors, head, normalisation: model.normalisation, dataset: await mnist({ classNames: head.classNames }) };
}

await assertWritable(folder);
const started = performance.now();
const model = openModelFolder(join(zooCheckpoints(), ZOO_MODEL));
const task = await mnistTask(model);
const sources = {
  base: { name: model.name, sha256: await sha256File(model.basePath) },
  taskVectors: await Promise.all(task.vectors.map(async ({ name }) => ({ name, sha256: await sha256File(model.taskPath(name)) }))),
};
note(`${TARGET} with the task vectors of ${task.vectors.map(({ name }) => name).join(", ")}`);

const compile = (composition: Composition): Promise<CompiledEncoder> => task.backend.compile(task.spec, task.base, task.vectors, composition);
const pretrained = await compile(blockwise());
const encoders = { ...(flags.adapters ? {} : { isotropic: await compile(isotropic()) }), [OURS]: pretrained };
/** Classifiers on frozen zero-shot features. */
const baselines: Record<string, AdapterFactory> = { "linear probe": linearProbe, ...(flags.adapters ? { "Tip-Adapter": tipAdapter, "LP++": lppAdapter } : {}) };

const reported = reportedImages(task, flags.validate ? "validation" : "test", images);
const table = new AccuracyTable(shots);
const zeroShotFeatures = await featuresOf(pretrained, null, reported);
const testImages = zeroShotFeatures.labels.length;
table.addConstant("zero-shot", (await headAccuracy(task, zeroShotFeatures)).accuracy);

async function save(name: string, composition: Composition, coefficients: NamedArrays, seed: number): Promise<void> {
  await writeComposition(join(folder, name, "composition.safetensors"), {
    coefficients, shapes: composition.shapes(task.spec.blocks, task.vectors.length), composition: composition.id, mode: "standard",
    blocks: task.spec.blocks.map((block) => block.name), ...sources, model: JSON.parse(JSON.stringify(model.config)), seed,
  });
}

function progress(k: number, seed: number, method: string): LearningOptions {
  return {
    epochs,
    onEvent: (event) => {
      if (event.type !== "epoch" || !process.stderr.isTTY) return;
      process.stderr.write(`\rk = ${k}, seed ${seed}, ${method}: epoch ${event.record.epoch}/${event.epochs}, loss ${event.record.loss.toFixed(3)} `);
    },
  };
}

function record(method: string, k: number, seed: number, { accuracy }: Accuracy): void {
  note(`${process.stderr.isTTY ? "\r" : ""}k = ${k}, seed ${seed}, ${method}: ${(100 * accuracy).toFixed(1)}%                `);
  table.add(method, k, accuracy);
}

const drawn: DatasetSplit["shots"][number][] = [];
for (const k of shots) {
  for (const seed of seeds) {
    const indices = drawShots(task, k, seed);
    drawn.push({ seed, subsample: String(k), indices });
    const before = await adapterContext(task, pretrained, null, indices, seed);
    for (const [method, factory] of Object.entries(baselines)) table.add(method, k, (await adapterAccuracy(await factory.fit(before), zeroShotFeatures)).accuracy);
    for (const [method, encoder] of Object.entries(encoders)) {
      const { last } = await learnFromShots(task, encoder, indices, seed, progress(k, seed, method));
      const features = await featuresOf(encoder, last, reported);
      record(method, k, seed, await headAccuracy(task, features));
      await save(`k${k}-seed${seed}-${encoder.composition.id}`, encoder.composition, last, seed);
      if (!flags.adapters || method !== OURS) continue;
      const lpp = await lppAdapter.fit(await adapterContext(task, encoder, last, indices, seed));
      record(WITH_LPP, k, seed, await adapterAccuracy(lpp, features));
    }
    if (!flags.adapters) continue;
    const tip = tipAdapter.joint!(before);
    const { last } = await learnFromShots(task, pretrained, indices, seed, { ...progress(k, seed, WITH_TIP), joint: tip });
    record(WITH_TIP, k, seed, await adapterAccuracy(tip.fitted(last), await featuresOf(pretrained, { coef: last["coef"]! }, reported)));
  }
}
Object.values(encoders).forEach((encoder) => { encoder.dispose(); });
if (!flags.validate) table.addConstant("fine-tuned (all labels)", model.accuracies("ft_accuracies")[TARGET]!);

const { train, validation } = splits(task);
await writeSplits(join(folder, "splits.json"), [{ name: TARGET, size: task.dataset.train.length, seed: 0, train, validation, shots: drawn }]);
const { device, versions } = await task.backend.probe();
const zeroShot = table.at("zero-shot", shots[0]!).mean;
const measured = [...Object.keys(baselines), ...Object.keys(encoders), ...(flags.adapters ? [WITH_LPP, WITH_TIP] : [])].flatMap((method) => shots.map((k) => [`${method}, k = ${k}`, table.at(method, k).mean] as const));
await writeRun(join(folder, "run.json"), {
  command: "examples/few-shots",
  options: { ...RECIPE, learningRate: shots.map(RECIPE.learningRate), epochs, shots, seeds, target: TARGET, validate: flags.validate }, seed: seeds.join(","),
  backend: { id: task.backend.id, device }, versions: { ...versions, node: process.versions.node },
  hashes: { base: sources.base.sha256, taskVectors: Object.fromEntries(sources.taskVectors.map(({ name, sha256 }) => [name, sha256])), splits: null },
  zeroShot: { accuracy: zeroShot }, epochs: [],
  final: Object.fromEntries(measured.map(([name, raw]) => [name, { raw, clamped: Math.max(raw, zeroShot) }])),
  seconds: (performance.now() - started) / 1000, peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
});

const gain = (k: number, over: string): string => {
  const { mean, error } = accuracyGain(table.at(OURS, k), table.at(over, k), testImages);
  return `aTLAS − ${over} at k = ${k}: ${(100 * mean).toFixed(1)} ± ${(100 * error).toFixed(1)} points`;
};
process.stdout.write(`
${TARGET}, ${testImages} real ${flags.validate ? "validation" : "test"} images, accuracy in %, mean ± standard error over ${seeds.length} seeds

${table.toString()}

${shots.flatMap((k) => ["zero-shot", flags.adapters ? "Tip-Adapter" : "isotropic"].map((over) => gain(k, over))).join("\n")}
(errors include that of the draw of test images)

${((performance.now() - started) / 1000).toFixed(0)} s. Coefficients, splits and run.json: ${folder}
`);
if (!flags.validate) {
  const example = join(flags.save, `k${shots.at(-1)}-seed${seeds[0]}-blockwise`, "composition.safetensors");
  process.stdout.write(`
Try next:
  npm run -s atlas -- inspect ${example}
  npm run -s atlas -- eval --target ${TARGET} --composition ${example}
  npm run -s atlas -- merge --composition ${example} --out runs/merged.safetensors
`);
}
