import { blockwise, evaluate, validationTransform, type Accuracy, type Composition, type NamedArrays } from "@atlas-tv/core";
import { readComposition, requireSameSources } from "@atlas-tv/checkpoints";
import { datasetByName, evaluationBatches, splitTrainValidation } from "@atlas-tv/datasets";
import { Option, type Command } from "commander";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { compositionById } from "../compositions.js";
import { count } from "../flags.js";
import { loadHead, loadModel, loadVectors, type LoadedModel, type LoadedVector } from "../loaded-model.js";
import { addModelFlags, type ModelFlags } from "../shared-flags.js";
import type { Terminal } from "../terminal.js";
import { percent } from "../terminal-progress.js";

interface EvalFlags extends ModelFlags {
  readonly composition?: string;
  readonly split: "test" | "validation";
  readonly batchSize: number;
}

/** What a composition file says, with its task vectors loaded and checked by hash. */
export async function loadComposition(model: LoadedModel, path: string): Promise<{ composition: Composition; coefficients: NamedArrays; vectors: LoadedVector[] }> {
  const artefact = await readComposition(path);
  const vectors = await loadVectors(model, artefact.taskVectors.map(({ name }) => name), "");
  requireSameSources(artefact, {
    base: { name: model.folder.name, sha256: model.baseHash },
    taskVectors: vectors.map(({ vector, hash }) => ({ name: vector.name, sha256: hash })),
    blocks: model.spec.blocks.map(({ name }) => name),
  }, path);
  return { composition: compositionById(artefact.composition, path), coefficients: artefact.coefficients, vectors };
}

async function measure(flags: EvalFlags): Promise<Accuracy & { target: string }> {
  const backend = await activeBackend(await compositionRoot(flags.plugin), flags.backend);
  const model = await loadModel(flags);
  const dataset = await datasetByName(flags.target, flags.dataLocation === undefined ? {} : { resolveFrom: [flags.dataLocation] });
  const head = await loadHead(model, backend, dataset);
  const applied = flags.composition === undefined
    ? { composition: blockwise(), coefficients: { coef: new Float32Array(0) }, vectors: [] }
    : await loadComposition(model, flags.composition);
  const encoder = await backend.compile(model.spec, model.base, applied.vectors.map(({ vector }) => vector), applied.composition, flags.threads === undefined ? {} : { threads: flags.threads });
  const composed = await encoder.compose(applied.coefficients);
  try {
    const transform = validationTransform(model.spec.imageSize, model.normalisation);
    const images = flags.split === "test"
      ? { source: dataset.test }
      : { source: dataset.train, indices: splitTrainValidation(dataset.train.length).validation };
    return { target: dataset.name, ...(await evaluate(composed, evaluationBatches({ ...images, batchSize: flags.batchSize, transform, cacheBytes: 0 }), head)) };
  } finally {
    composed.dispose();
    encoder.dispose();
  }
}

/** `atlas eval`: accuracy of the pre-trained model, or of a learned composition. */
export function addEval(program: Command, terminal: Terminal): void {
  const command = program.command("eval").description("measure top-1 accuracy on the target");
  addModelFlags(command)
    .option("--composition <file>", "a composition.safetensors to apply (default: none, zero-shot)")
    .addOption(new Option("--split <part>", "which images").choices(["test", "validation"]).default("test"))
    .option("--batch-size <n>", "images a batch", count("--batch-size"), 250)
    .action(async (flags: EvalFlags) => {
      const result = await measure(flags);
      terminal.out(flags.json ? JSON.stringify({ ...result, split: flags.split, composition: flags.composition ?? null }, null, 2) : `${result.target}, ${flags.split}: ${percent(result.accuracy)} (${result.correct} of ${result.total})`);
    });
}
