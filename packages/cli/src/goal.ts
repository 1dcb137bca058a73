import {
  ADDITION_METRICS,
  additionMetrics,
  additionRule,
  NEGATION_METRICS,
  negationRule,
  type Metrics,
  type ScalarRule,
  type SelectionRule,
} from "@atlas-tv/core";

/** What several tasks are composed for: which accuracies count, and which composition is better. */
export interface Goal {
  readonly id: "negation" | "addition";
  /** Names of the tasks' data sets. */
  readonly tasks: readonly string[];
  /** Names of the task vectors that are combined. */
  readonly vectors: readonly string[];
  /** Of each task's cross-entropy in the loss. */
  readonly weights: readonly number[];
  /** Sign of the one coefficient of the scalar baseline. */
  readonly sign: 1 | -1;
  /** Whether an epoch goes once through the first task's images, or through the fewest. */
  readonly primary: "first" | "fewest";
  /** What is reported of accuracies by task. */
  metrics(accuracies: Metrics, finetuned: Metrics): Metrics;
  /** Which epoch is kept. */
  rule(zeroShot: Metrics): SelectionRule;
  /** Which point of the scalar baseline is kept. */
  scalarRule(zeroShot: Metrics): ScalarRule;
  /** What the scalar baseline minimises: the metric, or what it lacks of 1. */
  loss(metrics: Metrics): number;
  /** The accuracy of one of the tasks among the reported metrics. */
  accuracy(metrics: Metrics, task: string): number;
  /** What the reference's files divide accuracies by, by task. */
  divisors(zeroShot: Metrics, finetuned: Metrics): Metrics;
  /** Why no epoch was kept. */
  readonly noneKept: string;
  /** What else the result depends on, for the run's record. */
  readonly options: Readonly<Record<string, number>>;
}

/** Forget the target, keep the control (paper, section 4.1). `threshold`: least control accuracy, as a share of zero-shot. */
export function negationGoal(target: string, control: string, threshold: number): Goal {
  const names = NEGATION_METRICS;
  return {
    id: "negation",
    tasks: [target, control],
    vectors: [target],
    weights: [-1, 1],
    sign: -1,
    primary: "first",
    metrics: (accuracies) => ({ [names.target]: accuracies[target]!, [names.control]: accuracies[control]! }),
    rule: (zeroShot) => negationRule({ target: zeroShot[names.target]!, control: zeroShot[names.control]! }, threshold),
    scalarRule: (zeroShot) => ({
      metric: names.target,
      minimise: true,
      control: { metric: names.control, threshold: threshold * zeroShot[names.control]! },
    }),
    loss: (metrics) => metrics[names.target]!,
    accuracy: (metrics, task) => metrics[task === target ? names.target : names.control]!,
    divisors: (zeroShot) => ({ [target]: zeroShot[names.target]!, [control]: zeroShot[names.control]! }),
    options: { controlThreshold: threshold },
    noneKept: `no epoch lowered ${target} and kept at least ${threshold} of the zero-shot accuracy on ${control}`,
  };
}

/** One model for all tasks (paper, section 4.2). */
export function additionGoal(tasks: readonly string[]): Goal {
  const { normalisedMean } = ADDITION_METRICS;
  return {
    id: "addition",
    tasks,
    vectors: tasks,
    weights: tasks.map(() => 1),
    sign: 1,
    primary: "fewest",
    metrics: additionMetrics,
    rule: (zeroShot) => additionRule(zeroShot[normalisedMean]!),
    scalarRule: () => ({ metric: normalisedMean }),
    loss: (metrics) => 1 - metrics[normalisedMean]!,
    accuracy: (metrics, task) => metrics[task]!,
    divisors: (_zeroShot, finetuned) => finetuned,
    options: {},
    noneKept: "no epoch raised the mean normalised accuracy above zero-shot",
  };
}
