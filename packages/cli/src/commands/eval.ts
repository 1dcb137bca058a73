import { accuracyOf, blockwise, encodeAll, headLogits, InputError, validationTransform, type Accuracy } from "@atlas-tv/core";
import { evaluationBatches, splitTrainValidation } from "@atlas-tv/datasets";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { Option, type Command } from "commander";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { imagesAtOnce } from "../evaluation-set.js";
import { count } from "../flags.js";
import { stoppable } from "../interruption.js";
import { loadAdapter } from "../loaded-adapter.js";
import { loadComposition, loadModelFor, type LoadedComposition } from "../loaded-composition.js";
import { loadHead } from "../loaded-model.js";
import { addBackendFlags, addTargetFlags, threadsOf, type TargetFlags } from "../shared-flags.js";
import { loadTarget } from "../target-data.js";
import { Remarks, type Terminal } from "../terminal.js";
import { percent } from "../terminal-progress.js";

interface EvalFlags extends TargetFlags {
  readonly composition?: string;
  readonly adapter?: string;
  readonly split: "test" | "validation";
  readonly batchSize?: number;
}

const ZERO_SHOT: LoadedComposition = {
  composition: blockwise(),
  coefficients: { coef: new Float32Array(0) },
  vectors: [],
  mode: "standard",
};

async function measure(flags: EvalFlags, remarks: Remarks, signal: AbortSignal): Promise<Accuracy & { target: string }> {
  const container = await compositionRoot(flags.plugin);
  const backend = await activeBackend(container, flags.backend);
  const model = await loadModelFor(flags, flags.composition);
  const { composition, coefficients, vectors, mode } =
    flags.composition === undefined ? ZERO_SHOT : await loadComposition(container, model, flags.composition);
  const dataset = await loadTarget(flags);
  const part =
    flags.split === "test"
      ? { source: dataset.test }
      : { source: dataset.train, indices: splitTrainValidation(dataset.train.length).validation };
  if (part.indices?.length === 0) {
    throw new InputError({
      where: "--split validation",
      got: `no validation images: a tenth of ${dataset.train.length} training images`,
      expected: "at least 10 training images",
    });
  }
  const head = await loadHead(model, dataset, { backend, remark: remarks.add, ...threadsOf(flags) });
  const adapter =
    flags.adapter === undefined ? null : await loadAdapter(container, flags.adapter, model, head, flags.composition);
  const encoder = await backend.compile(
    model.spec,
    model.base,
    vectors.map(({ vector }) => vector),
    composition,
    { mode, ...threadsOf(flags) },
  );
  try {
    const composed = await encoder.compose(coefficients);
    try {
      const transform = validationTransform(model.spec.imageSize, model.normalisation);
      const batches = evaluationBatches({ ...part, batchSize: flags.batchSize ?? imagesAtOnce(model.spec), transform, cacheBytes: 0 });
      const features = await encodeAll(composed, stoppable(batches, signal));
      const logits = (rows: Tensor2D): Tensor2D => adapter?.logits(rows) ?? headLogits(head, rows);
      return { target: dataset.name, ...(await accuracyOf(features, logits)) };
    } finally {
      composed.dispose();
    }
  } finally {
    encoder.dispose();
  }
}

/** `atlas eval`: accuracy of the pre-trained model, or of a learned composition, by the zero-shot head or an adapter. */
export function addEval(program: Command, terminal: Terminal): void {
  const command = program.command("eval").description("measure top-1 accuracy on the target");
  addTargetFlags(command)
    .optionsGroup("Measuring:")
    .option("--composition <file>", "a composition.safetensors to apply (default: none, zero-shot)")
    .option("--adapter <file>", "an adapter.safetensors to classify with, fitted to those features (default: the zero-shot head)")
    .addOption(new Option("--split <part>", "which images").choices(["test", "validation"]).default("test"))
    .option("--batch-size <n>", "images a batch (default: 250, fewer of a large model)", count("--batch-size"));
  addBackendFlags(command).action(async (flags: EvalFlags) => {
    const remarks = new Remarks(terminal, flags.json);
    const result = await measure(flags, remarks, terminal.signal);
    terminal.out(
      flags.json
        ? JSON.stringify({ ...result, split: flags.split, composition: flags.composition ?? null, adapter: flags.adapter ?? null, notes: remarks.all }, null, 2)
        : `${result.target}, ${flags.split}: ${percent(result.accuracy)} (${result.correct} of ${result.total})`,
    );
  });
}
