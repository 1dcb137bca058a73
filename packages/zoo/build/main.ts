import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { readState, sha256File, taskVectorFile, writeFileAtomically, writeSafetensorsFile, writeState } from "@atlas-tv/checkpoints";
import { textSpec, visionSpec, WordTokenizer, zeroShotHead } from "@atlas-tv/clip";
import {
  dense, float32ToFloat16, HALF_NORMALISATION, Random, widen,
  type ClassificationHead, type Dataset, type HostTensor, type NamedHostTensors,
} from "@atlas-tv/core";
import { fashionMnist, mnist } from "@atlas-tv/datasets";
import { accuracyOnTest, finetune, type FinetuningModel } from "./finetuning.js";
import { pretrain } from "./pretraining.js";
import { pretrainingData, type PretrainingData } from "./pretraining-data.js";
import { CONTEXT_LENGTH, FINETUNING, PRETRAINING, PRETRAINING_BATCH, PROMPTS, SEED, zooConfig } from "./settings.js";
import { zooTasks } from "./tasks.js";

/**
 * Trains the zoo: pre-trains the mini-CLIP, fine-tunes it on every task, measures, and writes the weights of this
 * package. Unfinished work is kept in the cache folder; a second call goes on from there. `--fresh` starts anew.
 */
const root = fileURLToPath(new URL("../../../", import.meta.url));
const pictures = join(root, "packages/zoo/pictures");
const cache = join(root, ".cache/zoo");
const target = join(root, "packages/zoo/weights/mini-clip");

const note = (text: string): void => { process.stderr.write(`${text}\n`); };
const seconds = (since: number): number => Math.round((performance.now() - since) / 100) / 10;
const writeJson = (path: string, value: unknown): Promise<unknown> => writeFileAtomically(path, [`${JSON.stringify(value, null, 2)}\n`]);

function half(tensors: NamedHostTensors): NamedHostTensors {
  return new Map([...tensors].map(([name, tensor]): [string, HostTensor] => [name, { dtype: "F16", shape: tensor.shape, data: float32ToFloat16(widen(tensor)) }]));
}

const random = new Random(SEED);
const backend = new CpuBackend();
await backend.activate();
mkdirSync(cache, { recursive: true });
if (process.argv.includes("--fresh")) rmSync(join(cache, "training"), { recursive: true, force: true });
mkdirSync(join(cache, "training"), { recursive: true });
mkdirSync(target, { recursive: true });
const timings: Record<string, number> = {};

let since = performance.now();
const data = await pretrainingData(pictures, cache, random);
const { tasks: rendered } = await zooTasks(pictures, cache, random);
const tokenizer = new WordTokenizer(data.vocabulary.words, CONTEXT_LENGTH);
timings["pictures"] = seconds(since);
note(`pictures: ${JSON.stringify(data.counts)}, ${timings["pictures"]} s`);

const config = zooConfig(tokenizer.vocabularySize);
const imageSpec = visionSpec(config);
const words = textSpec(config);

/** Identifies what the saved work belongs to: the same settings and pictures. */
const fingerprint = createHash("sha256").update(JSON.stringify({ config, PRETRAINING, PRETRAINING_BATCH, FINETUNING, PROMPTS, SEED, counts: data.counts, words: data.vocabulary.words })).digest("hex");

function batchAt(source: PretrainingData, step: number) {
  const { images, captions, positives } = source.batch(random.fork("pretraining").fork(step), PRETRAINING_BATCH);
  return { images: { data: images, shape: [PRETRAINING_BATCH, imageSpec.imageSize, imageSpec.imageSize, 3] }, tokens: tokenizer.encode(captions), positives };
}

async function pretrained() {
  const path = join(cache, "training", `pretraining-${fingerprint.slice(0, 16)}.safetensors`);
  const resume = existsSync(path) ? { resume: (await readState(path)).state } : {};
  let last = performance.now();
  return pretrain(backend, { image: imageSpec, text: words }, (step) => batchAt(data, step), PRETRAINING, random.fork("initialisation"), {
    ...resume,
    save: async (state) => { await writeState(path, { optionsHash: fingerprint, state }); },
    onStep: (step, loss, scale) => {
      if (step % 20 !== 0) return;
      const each = (performance.now() - last) / 20;
      last = performance.now();
      note(`pre-training ${step}/${PRETRAINING.steps}: loss ${loss.toFixed(3)}, scale ${scale.toFixed(1)}, ${each.toFixed(0)} ms a step`);
    },
  });
}

since = performance.now();
const { image, text, logScale } = await pretrained();
timings["pretraining"] = seconds(since);

const base = half(image);
const textBase = half(text);
const full: NamedHostTensors = new Map([...base, ...textBase, ["logit_scale", { dtype: "F32", shape: [], data: Float32Array.of(logScale) }]]);
await writeSafetensorsFile(join(target, "zeroshot.safetensors"), full, { format: "pt" });
await writeJson(join(target, "open_clip_config.json"), { model_cfg: config, preprocess_cfg: HALF_NORMALISATION });
await writeJson(join(target, "vocabulary.json"), tokenizer);

const resolveFrom = [pictures];
const datasets: Dataset[] = [await mnist({ ...PROMPTS.MNIST, resolveFrom: [root] }), await fashionMnist({ ...PROMPTS.FashionMNIST, resolveFrom }), ...rendered];

async function headOf(dataset: Dataset): Promise<ClassificationHead> {
  const encoder = await backend.compile(words, textBase, [], dense());
  try {
    return await zeroShotHead({ encoder, tokenize: (texts) => tokenizer.encode(texts), classNames: dataset.classNames, templates: dataset.templates, logitScale: logScale, name: dataset.name });
  } finally {
    encoder.dispose();
  }
}

const model: FinetuningModel = { backend, spec: imageSpec, base, normalisation: HALF_NORMALISATION };
const zeroShot: Record<string, number> = {};
const finetuned: Record<string, number> = {};
const hashes: Record<string, string> = {};
for (const dataset of datasets) {
  since = performance.now();
  const head = await headOf(dataset);
  zeroShot[dataset.name] = (await accuracyOnTest(model, dataset, head)).accuracy;
  const vector = await finetune(model, dataset, head, FINETUNING, random.fork("finetuning").fork(dataset.name));
  finetuned[dataset.name] = (await accuracyOnTest(model, dataset, head, vector)).accuracy;
  timings[dataset.name] = seconds(since);
  const folder = join(target, `${dataset.name}Val`);
  mkdirSync(folder, { recursive: true });
  const file = taskVectorFile(vector);
  await writeSafetensorsFile(join(folder, "task_vector.safetensors"), file.tensors, file.metadata);
  const weight: HostTensor = { dtype: "F32", shape: [head.classNames.length, head.width], data: head.weight };
  await writeSafetensorsFile(join(target, `head_${dataset.name}Val.safetensors`), new Map([["weight", weight]]), {
    format: "atlas-head", class_names: JSON.stringify(dataset.classNames), templates: JSON.stringify(dataset.templates),
  });
  hashes[`${dataset.name}Val/task_vector.safetensors`] = await sha256File(join(folder, "task_vector.safetensors"));
  note(`${dataset.name}: ${dataset.classNames.length} classes, zero-shot ${(100 * zeroShot[dataset.name]!).toFixed(1)}%, fine-tuned ${(100 * finetuned[dataset.name]!).toFixed(1)}%, ${timings[dataset.name]} s`);
}

hashes["zeroshot.safetensors"] = await sha256File(join(target, "zeroshot.safetensors"));
await writeJson(join(target, "zeroshot_accuracies.json"), zeroShot);
await writeJson(join(target, "ft_accuracies.json"), finetuned);
const { version } = JSON.parse(readFileSync(join(root, "packages/zoo/package.json"), "utf8")) as { version: string };
await writeJson(join(target, "manifest.json"), {
  version, seed: SEED, pretraining: { ...PRETRAINING, batch: PRETRAINING_BATCH }, finetuning: FINETUNING, pictures: data.counts, fingerprint, sha256: hashes,
});
process.stdout.write(`${JSON.stringify({ seconds: timings, zeroShot, finetuned }, null, 2)}\n`);
