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
import { imagesAtOnce, withComposed } from "./evaluation-set.js";
import { stoppable } from "./interruption.js";
import { learnerOptions, type Learning } from "./learning-flags.js";
import type { BudgetGoal } from "./budget.js";
import type { LoadedModel } from "./loaded-model.js";
import { isUnmoved, UNMOVED } from "./pretrained-start.js";
import type { RunHooks } from "./recorded-run.js";

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

/** The images as they are, and how each is seen in training. */
function viewsOf({ model: { spec, normalisation }, images, augmentation, hooks }: Pick<Adaptation, "model" | "images" | "augmentation" | "hooks">) {
  const weak = validationTransform(spec.imageSize, normalisation);
  const strong = trainingTransform({ size: spec.imageSize, normalisation, ...(augmentation === undefined ? {} : { augmentation }) });
  return { weak, strong, all: stoppable(stillBatches({ source: images, batchSize: imagesAtOnce(spec), transform: weak }), hooks.signal) };
}

/** The images and the objective, trust included, for choosing task vectors by. No label is looked at there either. */
export function adaptationGoal(adaptation: Omit<Adaptation, "encoder" | "remark">): BudgetGoal<UnlabelledBatch> {
  const { head, images, objective, learning, hooks } = adaptation;
  const { weak, strong, all } = viewsOf(adaptation);
  const random = adaptation.random.fork("budget");
  return {
    images: all,
    objective,
    batches: async (encoder) => {
      const predict = () => withComposed(encoder, encoder.initialCoefficients(), (composed) => predictAll(composed, all, head));
      const trusted = objective.trust === undefined ? {} : { trusted: objective.trust(await predict()) };
      const epoch = { source: images, batchSize: learning.batchSize, weak, strong, random, epoch: 1, ...trusted };
      return () => stoppable(unlabelledBatches(epoch).batches, hooks.signal);
    },
  };
}

/** Learns coefficients from images without labels (aTLAS, section 4.4). `evaluate` measures epochs and decides nothing. */
export async function adapt(adaptation: Adaptation, evaluate?: LearnSettings<UnlabelledBatch>["evaluate"]): Promise<Learned> {
  const { encoder, head, images, objective, learning, random, hooks, remark } = adaptation;
  const { weak, strong, all } = viewsOf(adaptation);
  let warned = false;
  const plan = async (epoch: number, coefficients: NamedArrays): Promise<EpochPlan<UnlabelledBatch>> => {
    if (hooks.signal.aborted) throw new AbortedError(`stopped before epoch ${epoch}; the state after epoch ${epoch - 1} is kept`);
    const common = { source: images, batchSize: learning.batchSize, weak, strong, random, epoch };
    if (objective.trust === undefined) return unlabelledBatches(common);
    const asked = objective.trusts === "initial" ? encoder.initialCoefficients() : coefficients;
    const trusted = objective.trust(await withComposed(encoder, asked, (composed) => predictAll(composed, all, head)));
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
  if (isUnmoved(learned.last, encoder)) remark(UNMOVED);
  return learned;
}
