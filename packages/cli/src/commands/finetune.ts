import { join } from "node:path";
import { rawAndClamped, writeSafetensorsFile, writeTaskVector } from "@atlas-tv/checkpoints";
import {
  CrossEntropyObjective,
  dense,
  learn,
  lora,
  loraTaskVector,
  Random,
  trainingTransform,
  type CompileOptions,
  type Composition,
  type HostTensor,
  type NamedArrays,
  type NamedHostTensors,
} from "@atlas-tv/core";
import { batchCount, labelledBatches, splitTrainValidation } from "@atlas-tv/datasets";
import type { Command } from "commander";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { EvaluationSet, withComposed } from "../evaluation-set.js";
import { addFinetuningModeFlag, sidesOf, type FinetuningModeFlags } from "../finetuning-mode.js";
import { count, share, wholeFromZero } from "../flags.js";
import { resumable } from "../interruption.js";
import { addLearningFlags, learnerOptions, learningOf, memoryOptions, type LearningFlags } from "../learning-flags.js";
import { headHash, loadHead, loadModel, type LoadedModel } from "../loaded-model.js";
import { finetuningRecipe } from "../recipes.js";
import { recordedRun } from "../recorded-run.js";
import { addBackendFlags, addTargetFlags, threadsOf, type TargetFlags } from "../shared-flags.js";
import { loadTarget } from "../target-data.js";
import { Remarks, type Terminal } from "../terminal.js";
import { percent } from "../terminal-progress.js";

interface FinetuneFlags extends TargetFlags, LearningFlags, FinetuningModeFlags {
  readonly warmup?: number;
  readonly labelSmoothing: number;
  readonly images?: number;
  readonly loraRank?: number;
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

const VALIDATION_IMAGES = 500;

/** What is trained, and the file that keeps it. */
interface Trained {
  readonly composition: Composition;
  readonly mode: NonNullable<CompileOptions["mode"]>;
  /** In front of the names of all files: a task may have standard and linear ones side by side. */
  readonly prefix: string;
  readonly file: string;
  write(path: string, values: NamedArrays): Promise<unknown>;
}

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

function trained({ finetuningMode, loraRank, seed }: FinetuneFlags, model: LoadedModel, task: string): Trained {
  const { mode } = sidesOf(finetuningMode);
  const prefix = mode === "linearised" ? "linear_" : "";
  if (loraRank === undefined) {
    return {
      composition: dense(),
      mode,
      prefix,
      file: `${prefix}finetuned.safetensors`,
      write: (path, values) => writeSafetensorsFile(path, asTensors(model, values), { format: "pt" }),
    };
  }
  const about = { rank: String(loraRank) };
  return {
    composition: lora({ rank: loraRank, random: new Random(seed).fork("lora") }),
    mode,
    prefix,
    file: `${prefix}task_vector.safetensors`,
    write: (path, values) => writeTaskVector(path, loraTaskVector(task, model.spec.blocks, values), about),
  };
}

async function finetune(flags: FinetuneFlags, remarks: Remarks, terminal: Terminal): Promise<Finetuned> {
  const backend = await activeBackend(await compositionRoot(flags.plugin), flags.backend);
  const model = await loadModel(flags);
  const { spec, normalisation } = model;
  const dataset = await loadTarget(flags);
  const head = await loadHead(model, dataset, { backend, remark: remarks.add, ...threadsOf(flags) });
  const { train, validation } = splitTrainValidation(dataset.train.length);
  const indices = flags.images === undefined ? train : train.subarray(0, flags.images);
  const recipe = finetuningRecipe({ preset: flags.preset, dataset: dataset.name, family: spec.family, images: indices.length });
  const learning = learningOf(flags, flags.warmup === undefined ? recipe : { ...recipe, warmup: flags.warmup }, remarks.add);
  const path = join(flags.save, model.folder.name, `${dataset.name}Val`);
  const { composition, mode, prefix, file, write } = trained(flags, model, dataset.name);
  const plan = {
    command: "finetune",
    path,
    flag: "--save",
    prefix,
    files: [`${prefix}finetuned.safetensors`, `${prefix}task_vector.safetensors`],
    label: dataset.name,
    options: {
      model: model.folder.name,
      target: dataset.name,
      head: await headHash(head),
      preset: flags.preset,
      ...learning,
      labelSmoothing: flags.labelSmoothing,
      images: indices.length,
      finetuningMode: flags.finetuningMode,
      loraRank: flags.loraRank ?? null,
      threads: flags.threads ?? null,
    },
    seed: flags.seed,
    hashes: { base: model.baseHash, taskVectors: {}, splits: null },
    backend,
    flags,
  };
  const finished = await recordedRun(plan, remarks, terminal, async (hooks, folder) => {
    if (validation.length === 0) remarks.add("no validation images: no accuracy is shown on the way; the last epoch is kept in any case");
    const augmentation = dataset.augmentation === undefined ? {} : { augmentation: dataset.augmentation };
    const training = {
      source: dataset.train,
      indices,
      batchSize: learning.batchSize,
      transform: trainingTransform({ size: spec.imageSize, normalisation, ...augmentation }),
      random: new Random(flags.seed).fork("finetuning"),
    };
    const watchedImages = { source: dataset.train, indices: validation.subarray(0, VALIDATION_IMAGES) };
    const watched = new EvaluationSet(model, head, watchedImages, terminal.signal);
    const test = new EvaluationSet(model, head, { source: dataset.test }, terminal.signal);
    const encoder = await backend.compile(spec, model.base, [], composition, {
      mode,
      ...threadsOf(flags),
      ...memoryOptions(learning),
    });
    try {
      const accuracyAt = async (values: NamedArrays): Promise<number> =>
        (await withComposed(encoder, values, (composed) => test.measure(composed))).accuracy;
      const zeroShot = await accuracyAt(encoder.initialCoefficients());
      const { last, history } = await learn({
        ...learnerOptions(learning),
        encoder,
        objective: new CrossEntropyObjective(head, { labelSmoothing: flags.labelSmoothing }),
        batches: (epoch) => labelledBatches({ ...training, epoch }),
        batchesPerEpoch: batchCount(indices.length, learning.batchSize),
        ...(validation.length === 0
          ? {}
          : { evaluate: async (composed) => ({ accuracy: (await watched.measure(composed)).accuracy }) }),
        ...hooks,
      });
      const final = rawAndClamped({ test: await accuracyAt(last) }, { test: zeroShot });
      await write(join(folder.path, file), last);
      return { zeroShot: { test: zeroShot }, final, history };
    } finally {
      encoder.dispose();
    }
  });
  return {
    target: dataset.name,
    path: join(finished.path, file),
    zeroShot: finished.zeroShot["test"]!,
    accuracy: finished.final["test"]!,
  };
}

/** `atlas finetune`: all parameters of the image encoder on one data set, text side frozen: what task vectors come from. */
export function addFinetune(program: Command, terminal: Terminal): void {
  const command = program.command("finetune").description("fine-tune the image encoder on the target, to make a task vector");
  addFinetuningModeFlag(addTargetFlags(command), ["standard", "linear"]);
  addLearningFlags(command)
    .option("--lora-rank <r>", "train factors of this rank on attention and MLP instead of all weights", count("--lora-rank"))
    .option("--warmup <steps>", "steps of linear warm-up (default: the preset's)", wholeFromZero("--warmup"))
    .option("--label-smoothing <share>", "of the cross-entropy", share("--label-smoothing"), 0)
    .option("--images <n>", "use so many training images (default: all)", count("--images"))
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
