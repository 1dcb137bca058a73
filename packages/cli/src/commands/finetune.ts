import { join } from "node:path";
import { rawAndClamped, writeSafetensorsFile } from "@atlas-tv/checkpoints";
import {
  cosineSchedule, CrossEntropyObjective, dense, evaluate, learn, Random, trainingTransform, validationTransform,
  type HostTensor, type NamedArrays, type NamedHostTensors, type VitSpec,
} from "@atlas-tv/core";
import { batchCount, datasetByName, evaluationBatches, labelledBatches, splitTrainValidation } from "@atlas-tv/datasets";
import type { Command } from "commander";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { count, nonNegative, numberFlag, positive, seed } from "../flags.js";
import { loadHead, loadModel } from "../loaded-model.js";
import { backendFacts, peakMemoryBytes } from "../run-facts.js";
import { RunFolder } from "../run-folder.js";
import { addModelFlags, type ModelFlags } from "../shared-flags.js";
import type { Terminal } from "../terminal.js";
import { percent, terminalProgress } from "../terminal-progress.js";

interface FinetuneFlags extends ModelFlags {
  readonly lr: number;
  readonly wd: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly warmup: number;
  readonly labelSmoothing: number;
  readonly images?: number;
  readonly microBatch?: number;
  readonly seed: number;
  readonly save: string;
  readonly resume: boolean;
}

const EVALUATION_BATCH = 250;
const VALIDATION_IMAGES = 500;

function asTensors(spec: VitSpec, values: NamedArrays): NamedHostTensors {
  return new Map(spec.blocks.map(({ name, shape }): [string, HostTensor] => [name, { dtype: "F32", shape, data: values[name]! }]));
}

async function finetune(flags: FinetuneFlags, terminal: Terminal): Promise<void> {
  const backend = await activeBackend(await compositionRoot(flags.plugin), flags.backend);
  const model = await loadModel(flags);
  const { spec, normalisation } = model;
  const dataset = await datasetByName(flags.target, flags.dataLocation === undefined ? {} : { resolveFrom: [flags.dataLocation] });
  const head = await loadHead(model, backend, dataset);
  const { train, validation } = splitTrainValidation(dataset.train.length);
  const indices = flags.images === undefined ? train : train.subarray(0, flags.images);
  const options = {
    model: model.folder.name, target: dataset.name, lr: flags.lr, wd: flags.wd, epochs: flags.epochs, batchSize: flags.batchSize,
    warmup: flags.warmup, labelSmoothing: flags.labelSmoothing, images: indices.length, microBatch: flags.microBatch ?? null,
  };
  const hashes = { base: model.baseHash, taskVectors: {}, splits: null };
  const folder = await RunFolder.open(join(flags.save, model.folder.name, `${dataset.name}Val`), { ...options, seed: flags.seed, hashes, backend: backend.id }, flags.resume);
  const out = join(folder.path, "finetuned.safetensors");
  if (folder.isFinished) {
    terminal.out(flags.json ? JSON.stringify({ path: out, finished: "already" }) : `${out}: finished already`);
    return;
  }
  const resume = await folder.savedState();
  const random = new Random(flags.seed).fork("finetuning");
  const still = validationTransform(spec.imageSize, normalisation);
  const transform = trainingTransform({ size: spec.imageSize, normalisation, ...(dataset.augmentation === undefined ? {} : { augmentation: dataset.augmentation }) });
  const watched = evaluationBatches({ source: dataset.train, indices: validation.subarray(0, VALIDATION_IMAGES), batchSize: EVALUATION_BATCH, transform: still });
  const test = evaluationBatches({ source: dataset.test, batchSize: EVALUATION_BATCH, transform: still, cacheBytes: 0 });
  const started = performance.now();
  const encoder = await backend.compile(spec, model.base, [], dense(), flags.threads === undefined ? {} : { threads: flags.threads });
  try {
    const accuracyAt = async (values: NamedArrays): Promise<number> => {
      const composed = await encoder.compose(values);
      try {
        return (await evaluate(composed, test, head)).accuracy;
      } finally {
        composed.dispose();
      }
    };
    const zeroShot = await accuracyAt(encoder.initialCoefficients());
    const { last, history } = await learn({
      encoder,
      objective: new CrossEntropyObjective(head, { labelSmoothing: flags.labelSmoothing }),
      batches: (epoch) => labelledBatches({ source: dataset.train, indices, batchSize: flags.batchSize, transform, random, epoch }),
      batchesPerEpoch: batchCount(indices.length, flags.batchSize),
      epochs: flags.epochs,
      learningRate: flags.lr,
      schedule: cosineSchedule(flags.warmup),
      adamw: { weightDecay: flags.wd },
      ...(flags.microBatch === undefined ? {} : { microBatch: flags.microBatch }),
      ...(validation.length === 0 ? {} : { evaluate: async (composed) => ({ accuracy: (await evaluate(composed, watched, head)).accuracy }) }),
      onEvent: terminalProgress(dataset.name, flags.quiet || flags.json),
      signal: terminal.signal,
      save: (state) => folder.saveState(state),
      ...(resume === null ? {} : { resume }),
    });
    const accuracy = await accuracyAt(last);
    await writeSafetensorsFile(out, asTensors(spec, last), { format: "pt" });
    await folder.finish({
      run: {
        command: "finetune", options, seed: flags.seed, hashes, ...(await backendFacts(backend)), zeroShot: { test: zeroShot },
        epochs: history.map(({ metrics, ...record }) => ({ ...record, metrics: rawAndClamped(metrics, {}) })),
        final: rawAndClamped({ test: accuracy }, { test: zeroShot }), seconds: (performance.now() - started) / 1000, peakMemoryBytes: peakMemoryBytes(),
      },
    });
    terminal.out(flags.json
      ? JSON.stringify({ path: out, zeroShot, accuracy }, null, 2)
      : `${dataset.name}: zero-shot ${percent(zeroShot)}, fine-tuned ${percent(accuracy)}\n${out}`);
  } finally {
    encoder.dispose();
  }
}

/** `atlas finetune`: all parameters of the image encoder on one data set, text side frozen: what task vectors come from. */
export function addFinetune(program: Command, terminal: Terminal): void {
  const command = program.command("finetune").description("fine-tune the image encoder on the target, to make a task vector");
  addModelFlags(command)
    .option("--lr <rate>", "peak learning rate (the paper's for ViT-B/32; the zoo used 5e-4)", positive("--lr"), 1e-5)
    .option("--wd <decay>", "weight decay", nonNegative("--wd"), 0.1)
    .option("--epochs <n>", "passes over the data", count("--epochs"), 1)
    .option("--batch-size <n>", "images a batch", count("--batch-size"), 128)
    .option("--warmup <steps>", "steps of linear warm-up", numberFlag("--warmup", (value) => Number.isInteger(value) && value >= 0, "a whole number from 0"), 0)
    .option("--label-smoothing <share>", "of the cross-entropy", numberFlag("--label-smoothing", (value) => value >= 0 && value < 1, "a number from 0 to below 1"), 0)
    .option("--images <n>", "use so many training images (default: all)", count("--images"))
    .option("--micro-batch <n>", "images computed at once", count("--micro-batch"))
    .option("--seed <n>", "of order and augmentation", seed("--seed"), 1)
    .option("--save <dir>", "folder of checkpoints: <dir>/<model>/<target>Val/ is written", "runs/checkpoints")
    .option("--resume", "go on with an unfinished run", false)
    .action((flags: FinetuneFlags) => finetune(flags, terminal));
}
