import { join } from "node:path";
import { rawAndClamped, writeSafetensorsFile } from "@atlas-tv/checkpoints";
import {
  cosineSchedule,
  CrossEntropyObjective,
  dense,
  evaluate,
  learn,
  Random,
  trainingTransform,
  validationTransform,
  type HostTensor,
  type LabelledBatch,
  type NamedArrays,
  type NamedHostTensors,
} from "@atlas-tv/core";
import { batchCount, evaluationBatches, labelledBatches, splitTrainValidation } from "@atlas-tv/datasets";
import type { Command } from "commander";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { count, nonNegative, positive, share, wholeFromZero } from "../flags.js";
import { resumable, stoppable } from "../interruption.js";
import { headHash, loadHead, loadModel, type LoadedModel } from "../loaded-model.js";
import { backendFacts, peakMemoryBytes } from "../run-facts.js";
import { RunFolder } from "../run-folder.js";
import { addBackendFlags, addTargetFlags, threadsOf, type TargetFlags } from "../shared-flags.js";
import { loadTarget } from "../target-data.js";
import { Remarks, type Terminal } from "../terminal.js";
import { percent, terminalProgress } from "../terminal-progress.js";

interface FinetuneFlags extends TargetFlags {
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

/** What was written, and accuracies in [0, 1]. */
interface Finetuned {
  readonly target: string;
  readonly path: string;
  readonly zeroShot: number;
  readonly accuracy: number;
}

const EVALUATION_BATCH = 250;
const VALIDATION_IMAGES = 500;
const RESULT = "finetuned.safetensors";

/** The fine-tuned image encoder; buffers are the base's, as they took part in training. */
function asTensors({ spec, base }: LoadedModel, values: NamedArrays): NamedHostTensors {
  const learned = spec.blocks.map(({ name, shape }): [string, HostTensor] => [
    name,
    { dtype: "F32", shape, data: values[name]! },
  ]);
  const tensors = new Map(learned);
  for (const [name, tensor] of base) if (!tensors.has(name)) tensors.set(name, tensor);
  return tensors;
}

async function finetune(flags: FinetuneFlags, remarks: Remarks, terminal: Terminal): Promise<Finetuned> {
  const backend = await activeBackend(await compositionRoot(flags.plugin), flags.backend);
  const model = await loadModel(flags);
  const { spec, normalisation } = model;
  const dataset = await loadTarget(flags);
  const head = await loadHead(model, dataset, { backend, remark: remarks.add, ...threadsOf(flags) });
  const { train, validation } = splitTrainValidation(dataset.train.length);
  const indices = flags.images === undefined ? train : train.subarray(0, flags.images);
  const options = {
    model: model.folder.name,
    target: dataset.name,
    head: await headHash(head),
    lr: flags.lr,
    wd: flags.wd,
    epochs: flags.epochs,
    batchSize: flags.batchSize,
    warmup: flags.warmup,
    labelSmoothing: flags.labelSmoothing,
    images: indices.length,
    microBatch: flags.microBatch ?? null,
    threads: flags.threads ?? null,
  };
  const hashes = { base: model.baseHash, taskVectors: {}, splits: null };
  const path = join(flags.save, model.folder.name, `${dataset.name}Val`);
  const folder = await RunFolder.open(path, { ...options, seed: flags.seed, hashes, backend: backend.id }, flags.resume, {
    flag: "--save",
    files: [RESULT, "task_vector.safetensors"],
  });
  const out = join(folder.path, RESULT);
  if (folder.isFinished) {
    const { zeroShot, final } = await folder.finalAccuracies();
    folder.removeState();
    remarks.add(`${path} was finished already`);
    return { target: dataset.name, path: out, zeroShot, accuracy: final["test"]! };
  }
  const resume = await folder.savedState();
  if (flags.resume && resume === null) remarks.add(`${path} holds no unfinished run: this one starts from the beginning`);
  const random = new Random(flags.seed).fork("finetuning");
  const still = validationTransform(spec.imageSize, normalisation);
  const transform = trainingTransform({
    size: spec.imageSize,
    normalisation,
    ...(dataset.augmentation === undefined ? {} : { augmentation: dataset.augmentation }),
  });
  const watched = stoppable(
    evaluationBatches({
      source: dataset.train,
      indices: validation.subarray(0, VALIDATION_IMAGES),
      batchSize: EVALUATION_BATCH,
      transform: still,
    }),
    terminal.signal,
  );
  const test = stoppable<LabelledBatch>(
    evaluationBatches({ source: dataset.test, batchSize: EVALUATION_BATCH, transform: still, cacheBytes: 0 }),
    terminal.signal,
  );
  const started = performance.now();
  const progress = terminalProgress(dataset.name, terminal, { quiet: flags.quiet || flags.json });
  const encoder = await backend.compile(spec, model.base, [], dense(), threadsOf(flags));
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
      batches: (epoch) =>
        labelledBatches({ source: dataset.train, indices, batchSize: flags.batchSize, transform, random, epoch }),
      batchesPerEpoch: batchCount(indices.length, flags.batchSize),
      epochs: flags.epochs,
      learningRate: flags.lr,
      schedule: cosineSchedule(flags.warmup),
      adamw: { weightDecay: flags.wd },
      ...(flags.microBatch === undefined ? {} : { microBatch: flags.microBatch }),
      ...(validation.length === 0
        ? {}
        : { evaluate: async (composed) => ({ accuracy: (await evaluate(composed, watched, head)).accuracy }) }),
      onEvent: progress.onEvent,
      signal: terminal.signal,
      save: (state) => folder.saveState(state),
      ...(resume === null ? {} : { resume }),
    });
    const accuracy = await accuracyAt(last);
    await writeSafetensorsFile(out, asTensors(model, last), { format: "pt" });
    await folder.finish({
      run: {
        command: "finetune",
        options,
        seed: flags.seed,
        hashes,
        ...(await backendFacts(backend)),
        zeroShot: { test: zeroShot },
        epochs: history.map(({ metrics, ...record }) => ({ ...record, metrics: rawAndClamped(metrics, {}) })),
        final: rawAndClamped({ test: accuracy }, { test: zeroShot }),
        seconds: (performance.now() - started) / 1000,
        peakMemoryBytes: peakMemoryBytes(),
        notes: remarks.all,
      },
    });
    return { target: dataset.name, path: out, zeroShot, accuracy };
  } finally {
    progress.end();
    encoder.dispose();
  }
}

/** `atlas finetune`: all parameters of the image encoder on one data set, text side frozen: what task vectors come from. */
export function addFinetune(program: Command, terminal: Terminal): void {
  const command = program.command("finetune").description("fine-tune the image encoder on the target, to make a task vector");
  addTargetFlags(command)
    .optionsGroup("How it is learned:")
    .option("--lr <rate>", "peak learning rate (the paper's for ViT-B/32; the zoo used 5e-4)", positive("--lr"), 1e-5)
    .option("--wd <decay>", "weight decay", nonNegative("--wd"), 0.1)
    .option("--epochs <n>", "passes over the data", count("--epochs"), 1)
    .option("--batch-size <n>", "images a batch", count("--batch-size"), 128)
    .option("--warmup <steps>", "steps of linear warm-up", wholeFromZero("--warmup"), 0)
    .option("--label-smoothing <share>", "of the cross-entropy", share("--label-smoothing"), 0)
    .option("--images <n>", "use so many training images (default: all)", count("--images"))
    .option("--micro-batch <n>", "images computed at once (default: the batch)", count("--micro-batch"))
    .optionsGroup("Runs:")
    .option("--seed <n>", "of order and augmentation", wholeFromZero("--seed"), 1)
    .option("--save <dir>", "folder of checkpoints: <dir>/<model>/<target>Val/ is written", "runs/checkpoints")
    .option("--resume", "go on with an unfinished run", false);
  addBackendFlags(command).action(async (flags: FinetuneFlags) => {
    const remarks = new Remarks(terminal, flags.json);
    const { target, path, zeroShot, accuracy } = await resumable(() => finetune(flags, remarks, terminal));
    terminal.out(
      flags.json
        ? JSON.stringify({ target, path, zeroShot, accuracy, notes: remarks.all }, null, 2)
        : `${target}: zero-shot ${percent(zeroShot)}, fine-tuned ${percent(accuracy)}\n${path}`,
    );
  });
}
