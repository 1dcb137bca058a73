/** JSON as the reference implementation writes it, so that scripts made for it go on working. Accuracies in [0, 1]. */
import { ADDITION_METRICS, NEGATION_METRICS, type Metrics } from "@atlas-tv/core";
import type { FinetuningMode } from "./finetuning-mode.js";
import type { Goal } from "./goal.js";

/** Learned coefficients are normalised with an s, the scalar baseline with a z. */
type Spelling = "normalised" | "normalized";

/** Accuracies of one part of the images as the reference names them: `MNISTVal:top1` on validation images. */
function named(goal: Goal, metrics: Metrics, divisors: Metrics, suffix: "Val" | "", spelling: Spelling): Record<string, number> {
  const entries = goal.tasks.map((task) => [task, goal.accuracy(metrics, task)] as const);
  return {
    ...Object.fromEntries(entries.map(([task, value]) => [`${task}${suffix}:top1`, value])),
    ...Object.fromEntries(entries.map(([task, value]) => [`${task}${suffix}:${spelling}_top1`, value / divisors[task]!])),
  };
}

interface Parts {
  readonly validation: Metrics;
  readonly test: Metrics;
}

/** What the parts of a document are made of. */
export interface ReferenceFacts {
  /** Each epoch, or each point of the grid in order, on validation images. */
  readonly validation: readonly { readonly metrics: Metrics }[];
  readonly test: Metrics;
  /** What accuracies are divided by, by task: fine-tuned ones for addition and the scalar baseline, zero-shot ones for learned negation. */
  readonly divisors: Parts;
}

/** What accuracies are divided by, on both parts of the images. */
export function divisorsOf(goal: Goal, zeroShot: Parts, finetuned: Parts): Parts {
  return {
    validation: goal.divisors(zeroShot.validation, finetuned.validation),
    test: goal.divisors(zeroShot.test, finetuned.test),
  };
}

/** Results of linearised models never share a file with those of the model itself. */
const PREFIXES: Readonly<Record<FinetuningMode, string>> = { standard: "", linear: "linear_", posthoc: "posthoc_" };

/** The name of the file: `learned_negations.json`, and `negations.json` for the scalar baseline. */
export function referenceFile(goal: Goal, source: "learned" | "scalar", mode: FinetuningMode): string {
  return `${source === "learned" ? "learned_" : ""}${PREFIXES[mode]}${goal.id}s.json`;
}

function withMeans(goal: Goal, metrics: Metrics, divisors: Metrics, suffix: "Val" | "", spelling: Spelling, means: readonly [string, string]) {
  return {
    ...named(goal, metrics, divisors, suffix, spelling),
    [means[0]]: metrics[ADDITION_METRICS.mean]!,
    [means[1]]: metrics[ADDITION_METRICS.normalisedMean]!,
  };
}

/** The content of the reference's file for learned coefficients: a list over epochs, and the test result. */
export function learnedDocument(goal: Goal, { validation, test, divisors }: ReferenceFacts): Record<string, unknown> {
  if (goal.id === "negation") {
    const [target = ""] = goal.tasks;
    return {
      [target]: {
        val: validation.map(({ metrics }) => named(goal, metrics, divisors.validation, "Val", "normalised")),
        test: test[NEGATION_METRICS.target],
        test_control: test[NEGATION_METRICS.control],
      },
    };
  }
  return {
    // The reference writes the mean with a colon for validation, with an underscore for test.
    val: validation.map(({ metrics }) =>
      withMeans(goal, metrics, divisors.validation, "Val", "normalised", ["avg:top1", "avg_normalised_top1"]),
    ),
    test: withMeans(goal, test, divisors.test, "", "normalised", ["avg_top1", "avg_normalised_top1"]),
  };
}

/** The points of `numpy.linspace(0, 1, count)` as Python writes them: by these texts the reference's scripts look results up. */
function gridKeys(count: number): string[] {
  const step = 1 / (count - 1);
  return Array.from({ length: count }, (_, i) => {
    const value = i === count - 1 ? 1 : i * step;
    return Number.isInteger(value) ? value.toFixed(1) : String(value);
  });
}

/** The content of the reference's file for the scalar baseline: the validation accuracies by coefficient. */
export function scalarDocument(goal: Goal, { validation, test, divisors }: ReferenceFacts): Record<string, unknown> {
  const means = ["avg_top1", "avg_normalized_top1"] as const;
  const keys = gridKeys(validation.length);
  const byCoefficient = (point: (metrics: Metrics) => Record<string, number>): Record<string, Record<string, number>> =>
    Object.fromEntries(validation.map(({ metrics }, i) => [keys[i]!, point(metrics)]));
  if (goal.id === "negation") {
    const [target = "", control = ""] = goal.tasks;
    const { target: targetMetric, control: controlMetric } = NEGATION_METRICS;
    // The means are over the target alone: the control has no fine-tuned model.
    const val = byCoefficient((metrics) => {
      const [top1, kept] = [goal.accuracy(metrics, target), goal.accuracy(metrics, control)];
      const normalised = top1 / divisors.validation[target]!;
      return { [`${target}Val:top1`]: top1, [`${control}Val:top1`]: kept, [`${target}Val:normalized_top1`]: normalised, [means[1]]: normalised, [means[0]]: top1 };
    });
    return { [target]: { test: test[targetMetric], test_control: test[controlMetric], val } };
  }
  return {
    test: withMeans(goal, test, divisors.test, "", "normalized", means),
    val: byCoefficient((metrics) => withMeans(goal, metrics, divisors.validation, "Val", "normalized", means)),
  };
}

/** The file of compositions that were learned for one target: `learned_composition.json`. */
export function compositionFile(mode: FinetuningMode): string {
  return `learned_${PREFIXES[mode]}composition.json`;
}

/** Accuracies of a composition for one target; null where there is none. */
export interface CompositionFacts {
  readonly zeroShotValidation: number | null;
  /** Of the epoch selected on validation images. */
  readonly bestValidation: number | null;
  /** After the last epoch. */
  readonly test: number | null;
  /** With an adapter, by its id. */
  readonly adapters?: Readonly<Record<string, number>>;
}

/** The content of `learned_composition.json`: accuracies by data set and split, `X_tip` and `X_lpp` with an adapter. */
export function compositionDocument(target: string, facts: CompositionFacts): Record<string, number> {
  const adapters = Object.entries(facts.adapters ?? {}).map(([id, accuracy]) => [`${target}_${id}`, accuracy] as const);
  const entries: readonly (readonly [string, number | null])[] = [
    [`${target}Val_zeroshot`, facts.zeroShotValidation],
    [`${target}Val`, facts.bestValidation],
    [target, facts.test],
    ...adapters,
  ];
  return Object.fromEntries(entries.filter((entry): entry is readonly [string, number] => entry[1] !== null));
}
