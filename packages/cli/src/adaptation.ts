import {
  AbortedError,
  learn,
  predictAll,
  trainingTransform,
  validationTransform,
  type Augmentation,
  type ClassificationHead,
  type CompiledEncoder,
  type EpochPlan,
  type Learned,
  type LearnSettings,
  type NamedArrays,
  type Random,
  type UnlabelledBatch,
  type UnlabelledSource,
  type UnsupervisedObjective,
} from "@atlas-tv/core";
import { stillBatches, unlabelledBatches } from "@atlas-tv/datasets";
import { withComposed } from "./evaluation-set.js";
import { stoppable } from "./interruption.js";
import { learnerOptions, type Learning } from "./learning-flags.js";
import type { LoadedModel } from "./loaded-model.js";
import type { RunHooks } from "./recorded-run.js";

/** Images whose predictions are looked at at once: bounds memory, not results. */
const PREDICTION_BATCH = 250;

/** All that adaptation sees. Nothing in it leads to a label. */
export interface Adaptation {
  readonly encoder: CompiledEncoder;
  readonly model: Pick<LoadedModel, "spec" | "normalisation">;
  readonly head: ClassificationHead;
  readonly images: UnlabelledSource;
  readonly augmentation?: Augmentation;
  readonly objective: UnsupervisedObjective;
  readonly learning: Learning;
  readonly random: Random;
  readonly hooks: RunHooks;
  readonly remark: (text: string) => void;
}

/** Learns coefficients from images without labels (aTLAS, section 4.4). `evaluate` measures epochs and decides nothing. */
export async function adapt(
  { encoder, model, head, images, augmentation, objective, learning, random, hooks, remark }: Adaptation,
  evaluate?: LearnSettings<UnlabelledBatch>["evaluate"],
): Promise<Learned> {
  const { spec, normalisation } = model;
  const weak = validationTransform(spec.imageSize, normalisation);
  const strong = trainingTransform({ size: spec.imageSize, normalisation, ...(augmentation === undefined ? {} : { augmentation }) });
  const all = stoppable(stillBatches({ source: images, batchSize: PREDICTION_BATCH, transform: weak }), hooks.signal);
  let warned = false;
  const plan = async (epoch: number, coefficients: NamedArrays): Promise<EpochPlan<UnlabelledBatch>> => {
    if (hooks.signal.aborted) throw new AbortedError(`stopped before epoch ${epoch}; the state after epoch ${epoch - 1} is kept`);
    const common = { source: images, batchSize: learning.batchSize, weak, strong, random, epoch };
    if (objective.trust === undefined) return unlabelledBatches(common);
    const trusted = objective.trust(await withComposed(encoder, coefficients, (composed) => predictAll(composed, all, head)));
    if (trusted.indices.length === 0 && !warned) {
      warned = true;
      remark(`epoch ${epoch}: no trusted image among ${images.length}; learning from the others alone`);
    }
    return unlabelledBatches({ ...common, trusted });
  };
  const learned = await learn<UnlabelledBatch>({
    ...learnerOptions(learning),
    encoder,
    objective,
    plan,
    ...(evaluate === undefined ? {} : { evaluate }),
    ...hooks,
  });
  const start = encoder.initialCoefficients();
  const unmoved = Object.entries(start).every(([name, values]) => values.every((value, i) => value === learned.last[name]![i]));
  if (unmoved) remark("no image ever counted: nothing was learned, and the result is the pre-trained model");
  return learned;
}
