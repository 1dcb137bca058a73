import { stepAdamW, type AdamWOptions } from "./adamw.js";
import type { ComposedEncoder, CompiledEncoder } from "./backend.js";
import type { NamedArrays } from "./composition.js";
import { AbortedError, InputError, NonFiniteError } from "./errors.js";
import { eventLoopTurns } from "./event-loop.js";
import { clipGradients } from "./gradient-clipping.js";
import { checkState, copyArrays, initialState, snapshot, type Kept, type LearnerState } from "./learner-state.js";
import { lossAndGradients, type ExtraParameter } from "./loss-and-gradients.js";
import { lpPenalty, type LpRegulariser } from "./lp-regulariser.js";
import type { Objective, StepContext, TrainableParameter } from "./objective.js";
import type { EpochRecord, Metrics, ProgressSink } from "./progress.js";
import { constantSchedule, type Schedule } from "./schedule.js";

/** The batches of one epoch. */
export interface EpochPlan<B> {
  readonly batches: Iterable<B> | AsyncIterable<B>;
  /** How many there are, at least one. */
  readonly count: number;
}

/** Batches that are the same whatever has been learned. */
export interface FixedBatches<B> {
  /** The batches of an epoch (1-based), always the same for the same epoch. */
  readonly batches: (epoch: number) => EpochPlan<B>["batches"];
  readonly batchesPerEpoch: number;
}

/** Batches that depend on the model: those of self-training. */
export interface PlannedBatches<B> {
  /**
   * The batches of an epoch (1-based), always the same for the same epoch and the same coefficients at its start. Their
   * number may differ from epoch to epoch: schedules count as if all epochs had as many as the current one.
   */
  readonly plan: (epoch: number, coefficients: NamedArrays) => Promise<EpochPlan<B>>;
}

/** What `learn` takes: settings, and batches that are fixed or planned epoch by epoch. */
export type LearnOptions<B> = LearnSettings<B> & (FixedBatches<B> | PlannedBatches<B>);

/** How coefficients are learned. */
export interface LearnSettings<B> {
  readonly encoder: CompiledEncoder;
  readonly objective: Objective<B>;
  readonly epochs: number;
  /** Peak rate of the coefficients. */
  readonly learningRate: number;
  readonly schedule?: Schedule;
  readonly adamw?: AdamWOptions;
  /** Joint norm of all gradients; default 1, the paper's. `Infinity` never clips. */
  readonly clipNorm?: number;
  /** Batches whose gradients are averaged into one step; an epoch's last step may have fewer. Default 1. */
  readonly accumulate?: number;
  /** Rows in flight at once; see `LossOptions`. */
  readonly microBatch?: number;
  readonly regulariser?: LpRegulariser;
  /** Starting coefficients; default those of the composition. */
  readonly initial?: NamedArrays;
  /** Measures the model after each epoch. Without it nothing is selected. */
  readonly evaluate?: (encoder: ComposedEncoder, epoch: number, values: NamedArrays) => Promise<Metrics>;
  /** Whether an epoch replaces the best so far; default a strictly higher `accuracy`. */
  readonly better?: (candidate: Metrics, best: Metrics | null) => boolean;
  readonly onEvent?: ProgressSink;
  readonly signal?: AbortSignal;
  /** A state that `save` received; the run goes on from there. */
  readonly resume?: LearnerState;
  /** Called after each epoch with a state of its own copy. */
  readonly save?: (state: LearnerState) => Promise<void>;
}

/** What learning came to. */
export interface Learned {
  /** Coefficients and objective parameters after the last epoch. */
  readonly last: NamedArrays;
  /** The epoch that the selection rule kept; null without `evaluate`, or when no epoch qualified. */
  readonly best: Kept | null;
  readonly history: readonly EpochRecord[];
}

/** The loss became NaN or infinite, or so did what is computed with the coefficients of a step. */
export class NonFiniteLossError extends NonFiniteError {
  override readonly name = "NonFiniteLossError";

  /**
   * @param step 0-based.
   * @param what says it otherwise than "the loss is NaN at step 4".
   */
  constructor(readonly step: number, readonly loss: number, readonly lastGood: LearnerState, what = `the loss is ${loss} at step ${step + 1}`) {
    const kept = lastGood.epoch === 0 ? "no epoch was finished" : `the state after epoch ${lastGood.epoch} is kept`;
    super(`${what}; ${kept}. Try a lower learning rate.`);
  }
}

const higherAccuracy = (candidate: Metrics, best: Metrics | null): boolean =>
  best === null || (candidate["accuracy"] ?? -Infinity) > (best["accuracy"] ?? -Infinity);

function requireOption(name: string, value: number, ok: boolean, expected: string): void {
  if (!ok) throw new InputError({ where: `learn: ${name}`, got: String(value), expected });
}

function startingValues<B>(options: LearnOptions<B>, parameters: readonly TrainableParameter[]): Record<string, Float32Array> {
  const values = copyArrays(options.initial ?? options.encoder.initialCoefficients());
  for (const { name, initial } of parameters) {
    if (name in values) throw new InputError({ where: `objective "${options.objective.id}"`, got: `a parameter named "${name}"`, expected: "a name that no coefficient tensor has" });
    values[name] = initial.slice();
  }
  return values;
}

/** Sums of gradients over the batches of one step. */
class GradientSum {
  readonly #sums: Record<string, Float32Array> = {};
  #count = 0;

  add(gradients: NamedArrays): void {
    this.#count++;
    for (const [name, values] of Object.entries(gradients)) {
      const sum = this.#sums[name];
      if (sum === undefined) this.#sums[name] = values.slice();
      else values.forEach((value, i) => { sum[i]! += value; });
    }
  }

  mean(): Record<string, Float32Array> {
    if (this.#count > 1) for (const sum of Object.values(this.#sums)) sum.forEach((value, i) => { sum[i] = value / this.#count; });
    return this.#sums;
  }
}

/**
 * Learns the coefficients of a composition (paper, section 3): AdamW with clipped gradients on any objective.
 * Deterministic: the same encoder, batches and options give the same bits.
 * @throws NonFiniteLossError (also where `evaluate` or `plan` throws a NonFiniteError), AbortedError (after
 *   saving nothing of the unfinished epoch), InputError.
 */
export async function learn<B>(options: LearnOptions<B>): Promise<Learned> {
  const { encoder, objective, epochs, accumulate = 1, schedule = constantSchedule, signal } = options;
  requireOption("epochs", epochs, Number.isInteger(epochs) && epochs >= 1, "a whole number from 1");
  requireOption("accumulate", accumulate, Number.isInteger(accumulate) && accumulate >= 1, "a whole number from 1");
  requireOption("learningRate", options.learningRate, options.learningRate > 0 && Number.isFinite(options.learningRate), "a positive number");

  const parameters = objective.parameters ?? [];
  const owner = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  const start = startingValues(options, parameters);
  const coefficientNames = Object.keys(start).filter((name) => !owner.has(name));
  let state = options.resume === undefined ? initialState(start) : snapshot(options.resume);
  checkState(state, start, epochs);
  let lastGood = snapshot(state);

  const pick = (values: NamedArrays): NamedArrays => Object.fromEntries(coefficientNames.map((name) => [name, values[name]!]));
  /** What is computed with coefficients that a step has driven too far: the step is named, and what is kept. */
  const orDiverged = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      throw new NonFiniteLossError(state.step - 1, NaN, lastGood, `${error.message} after step ${state.step}`);
    }
  };
  const planOf = async (epoch: number): Promise<EpochPlan<B>> => {
    const plan = "plan" in options
      ? await orDiverged(() => options.plan(epoch, pick(state.values)))
      : { batches: options.batches(epoch), count: options.batchesPerEpoch };
    requireOption("batches of an epoch", plan.count, Number.isInteger(plan.count) && plan.count >= 1, "a whole number from 1");
    return plan;
  };
  const differentiate = async (batch: B, { step, steps, epoch }: StepContext): Promise<{ loss: number; gradients: Record<string, Float32Array> }> => {
    const composed = await encoder.compose(pick(state.values));
    try {
      const extra = Object.fromEntries(parameters.map(({ name, shape }): [string, ExtraParameter] => [name, { values: state.values[name]!, shape }]));
      const terms = objective.views(batch).map((view) => ({ ...view, encoder: composed }));
      const result = await lossAndGradients(
        terms,
        (features, tensors) => objective.loss(features, batch, tensors, { step, steps, epoch }),
        extra,
        { ...(options.microBatch === undefined ? {} : { microBatch: options.microBatch }) },
      );
      return { loss: result.loss, gradients: { ...copyArrays(result.encoders.get(composed) ?? {}), ...result.extra } };
    } finally {
      composed.dispose();
    }
  };

  const takeStep = (sum: GradientSum, { step, steps }: StepContext): { penalty: number; norm: number; rate: number } => {
    const gradients = sum.mean();
    let penalty = 0;
    if (options.regulariser !== undefined) {
      for (const name of coefficientNames) {
        gradients[name] ??= new Float32Array(state.values[name]!.length);
        penalty += lpPenalty(state.values[name]!, encoder.vectorCount, options.regulariser, gradients[name]);
      }
    }
    const norm = clipGradients(gradients, options.clipNorm ?? 1);
    const factor = schedule(step, steps);
    const optimiser = stepAdamW(
      state.values,
      gradients,
      state.optimiser,
      (name) => factor * (owner.get(name)?.learningRate ?? options.learningRate),
      (name) => {
        const decay = owner.get(name)?.weightDecay;
        return decay === undefined ? (options.adamw ?? {}) : { ...options.adamw, weightDecay: decay };
      },
    );
    state = { ...state, step: state.step + 1, optimiser };
    return { penalty, norm, rate: factor * options.learningRate };
  };

  const turn = eventLoopTurns();
  let announced = false;
  for (let epoch = state.epoch + 1; epoch <= epochs; epoch++) {
    const { batches, count } = await planOf(epoch);
    const stepsPerEpoch = Math.ceil(count / accumulate);
    const steps = stepsPerEpoch * epochs;
    if (!announced) options.onEvent?.({ type: "start", epochs, steps, resumedAt: state.epoch });
    announced = true;
    let at: StepContext = { step: (epoch - 1) * stepsPerEpoch, steps, epoch };
    let lossSum = 0;
    let penaltySum = 0;
    let batchCount = 0;
    let pending = new GradientSum();
    let pendingLoss = 0;
    let pendingCount = 0;
    for await (const batch of batches) {
      await turn();
      if (signal?.aborted === true) throw new AbortedError(`stopped in epoch ${epoch}; the state after epoch ${lastGood.epoch} is kept`);
      const { loss, gradients } = await differentiate(batch, at);
      if (!Number.isFinite(loss)) throw new NonFiniteLossError(state.step, loss, lastGood);
      pending.add(gradients);
      pendingLoss += loss;
      pendingCount++;
      batchCount++;
      if (pendingCount < accumulate && batchCount < count) continue;
      const { penalty, norm, rate } = takeStep(pending, at);
      at = { ...at, step: at.step + 1 };
      const stepLoss = pendingLoss / pendingCount + penalty;
      if (!Number.isFinite(stepLoss)) throw new NonFiniteLossError(state.step - 1, stepLoss, lastGood);
      if (!Number.isFinite(norm)) throw new NonFiniteLossError(state.step - 1, stepLoss, lastGood, `the gradient's norm is ${norm} at step ${state.step}`);
      options.onEvent?.({ type: "step", step: at.step, steps, epoch, loss: stepLoss, learningRate: rate, gradientNorm: norm });
      lossSum += pendingLoss;
      penaltySum += penalty * pendingCount;
      pending = new GradientSum();
      pendingLoss = 0;
      pendingCount = 0;
    }
    if (batchCount !== count) {
      throw new InputError({ where: `batches of epoch ${epoch}`, got: String(batchCount), expected: `${count}, as was announced` });
    }
    const loss = (lossSum + penaltySum) / batchCount;
    state = await orDiverged(() => finishEpoch(options, state, epoch, loss, pick));
    lastGood = snapshot(state);
    await options.save?.(lastGood);
    options.onEvent?.({ type: "epoch", record: state.history.at(-1)!, epochs });
  }
  if (!announced) options.onEvent?.({ type: "start", epochs, steps: state.step, resumedAt: state.epoch });
  return { last: state.values, best: state.best, history: state.history };
}

/** Measures the epoch, applies the selection rule, and writes the record. */
async function finishEpoch<B>(
  options: LearnOptions<B>,
  state: LearnerState,
  epoch: number,
  loss: number,
  pick: (values: NamedArrays) => NamedArrays,
): Promise<LearnerState> {
  let metrics: Metrics = {};
  if (options.evaluate !== undefined) {
    const composed = await options.encoder.compose(pick(state.values));
    try {
      metrics = await options.evaluate(composed, epoch, state.values);
    } finally {
      composed.dispose();
    }
  }
  const selected = options.evaluate !== undefined && (options.better ?? higherAccuracy)(metrics, state.best?.record.metrics ?? null);
  const record: EpochRecord = { epoch, step: state.step, loss, metrics, selected };
  return {
    ...state,
    epoch,
    best: selected ? { values: copyArrays(state.values), record } : state.best,
    history: [...state.history, record],
  };
}
