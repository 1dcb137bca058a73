import type { Scalar, Tensor2D } from "@tensorflow/tfjs-core";
import type { CompiledEncoder } from "./backend.js";
import type { NamedArrays, NamedTensors } from "./composition.js";
import type { BlockSpec } from "./encoder-spec.js";
import { AbortedError, InputError, NonFiniteError } from "./errors.js";
import { lossAndGradients } from "./loss-and-gradients.js";
import type { Objective } from "./objective.js";
import type { Random } from "./random.js";
import type { TaskVector, TaskVectorBlock } from "./task-vector.js";

/** How b of n task vectors are chosen when memory allows no more (paper, section 5 and appendix). */
export const BUDGET_RULES = ["random", "features", "gradient", "blockwise"] as const;

export type BudgetRule = (typeof BUDGET_RULES)[number];

/** Task vectors that are read one at a time when they are needed. */
export interface TaskVectorSource {
  /** n */
  readonly names: readonly string[];
  /** @param only the blocks that are wanted; default all. */
  load(index: number, only?: ReadonlySet<string>): Promise<TaskVector>;
}

/**
 * What a budget of b task vectors is spent on: row k, column j is the index of the vector whose block j is part of the
 * k-th vector that is composed. Rows are constant but for the rule "blockwise".
 */
export type BudgetChoice = readonly Int32Array[];

/** @throws InputError unless 1 ≤ b ≤ n. */
export function requireBudget(budget: number, n: number): void {
  if (Number.isInteger(budget) && budget >= 1 && budget <= n) return;
  throw new InputError({ where: "budget of task vectors", got: String(budget), expected: `a whole number from 1 to ${n}, as there are ${n}` });
}

const whole = (index: number, blocks: number): Int32Array => new Int32Array(blocks).fill(index);

/** The indices of the b highest scores, the highest first; the lower index first among equals. */
function highest(scores: ArrayLike<number>, budget: number): number[] {
  const order = Array.from({ length: scores.length }, (_, index) => index);
  return order.sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, budget);
}

/** b vectors drawn at random. */
export function chooseAtRandom(n: number, budget: number, blocks: number, random: Random): BudgetChoice {
  requireBudget(budget, n);
  return Array.from(random.permutation(n).subarray(0, budget), (index) => whole(index, blocks));
}

/** The b vectors with the highest scores. */
export function chooseVectors(scores: ArrayLike<number>, budget: number, blocks: number): BudgetChoice {
  requireBudget(budget, scores.length);
  return highest(scores, budget).map((index) => whole(index, blocks));
}

/** In every block, the b vectors with the highest scores `[n, m]`: different blocks may take different vectors. */
export function chooseBlocks(scores: Float32Array, budget: number, blocks: number): BudgetChoice {
  const n = scores.length / blocks;
  requireBudget(budget, n);
  const rows = Array.from({ length: budget }, () => new Int32Array(blocks));
  for (let j = 0; j < blocks; j++) {
    highest(Array.from({ length: n }, (_, i) => scores[i * blocks + j]!), budget).forEach((index, k) => {
      rows[k]![j] = index;
    });
  }
  return rows;
}

/** Sums of the scores `[n, m]` over the blocks: the L1 norm where scores are absolute gradients. */
export function scoresOfVectors(scores: Float32Array, blocks: number): Float32Array {
  return Float32Array.from({ length: scores.length / blocks }, (_, i) => {
    return scores.subarray(i * blocks, (i + 1) * blocks).reduce((sum, value) => sum + value, 0);
  });
}

/** cos(a, b); 0 against a vector of zeros. */
export function featureSimilarity(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  return lengths === 0 ? 0 : dot(a, b) / lengths;
}

export interface GradientScoreOptions<B> {
  /** Compiled for a blockwise composition; its vectors are replaced. */
  readonly encoder: CompiledEncoder;
  readonly vectors: TaskVectorSource;
  /** Vectors held at once. */
  readonly budget: number;
  readonly objective: Objective<B>;
  /** What the loss is measured on, the same in every pass. */
  readonly batches: () => Iterable<B> | AsyncIterable<B>;
  /** Rows in flight at once; see `LossOptions`. */
  readonly microBatch?: number;
  readonly signal?: AbortSignal;
}

async function meanGradient<B>({ encoder, objective, batches, microBatch, signal }: GradientScoreOptions<B>): Promise<Float32Array> {
  const start: NamedArrays = encoder.initialCoefficients();
  const composed = await encoder.compose(start);
  const sum = new Float32Array(start["coef"]!.length);
  let count = 0;
  try {
    for await (const batch of batches()) {
      if (signal?.aborted === true) throw new AbortedError("stopped while task vectors were chosen");
      const terms = objective.views(batch).map((view) => ({ ...view, encoder: composed }));
      const context = { step: 0, steps: 1, epoch: 1 };
      const loss = (features: Tensor2D[], extra: NamedTensors): Scalar => objective.loss(features, batch, extra, context);
      const { encoders } = await lossAndGradients(terms, loss, {}, microBatch === undefined ? {} : { microBatch });
      encoders.get(composed)?.["coef"]?.forEach((value, i) => { sum[i]! += value; });
      count++;
    }
  } finally {
    composed.dispose();
  }
  return sum.map((value) => value / Math.max(1, count));
}

/**
 * |dL/dλ| at λ = 0, `[n, m]`, on the mean loss of the batches. Vectors are loaded in groups of b: at 0 the derivative in
 * one vector's coefficients does not depend on the others.
 * @throws NonFiniteError, AbortedError.
 */
export async function gradientScores<B>(options: GradientScoreOptions<B>): Promise<Float32Array> {
  const { encoder, vectors, budget } = options;
  const n = vectors.names.length;
  const m = encoder.spec.blocks.length;
  requireBudget(budget, n);
  const scores = new Float32Array(n * m);
  for (let from = 0; from < n; from += budget) {
    // The last group gives its memory back before the next one is read.
    await encoder.setVectors([]);
    const group: TaskVector[] = [];
    for (let index = from; index < Math.min(n, from + budget); index++) group.push(await vectors.load(index));
    await encoder.setVectors(group);
    scores.set((await meanGradient(options)).map(Math.abs), from * m);
  }
  await encoder.setVectors([]);
  if (!scores.every(Number.isFinite)) throw new NonFiniteError("gradients at the pre-trained model are NaN or infinite: no task vector can be chosen by them");
  return scores;
}

/** The b vectors of a choice, from vectors of which only the chosen blocks are read: never are more than b vectors held. */
export async function loadChosen(
  choice: BudgetChoice,
  blocks: readonly BlockSpec[],
  vectors: TaskVectorSource,
): Promise<TaskVector[]> {
  const rows = choice.map(() => new Map<string, TaskVectorBlock>());
  for (const index of sourcesOf(choice)) {
    const chosen = blocks.filter((_, j) => choice.some((row) => row[j] === index)).map(({ name }) => name);
    const vector = await vectors.load(index, new Set(chosen));
    choice.forEach((row, k) => {
      blocks.forEach(({ name }, j) => {
        const own = row[j] === index ? vector.blocks.get(name) : undefined;
        if (own !== undefined) rows[k]!.set(name, own);
      });
    });
  }
  return rows.map((own, k) => {
    const row = choice[k]!;
    const isWhole = row.every((index) => index === row[0]);
    return { name: isWhole ? vectors.names[row[0] ?? 0]! : `mixed ${k + 1}`, blocks: own };
  });
}

/** The vectors that a choice takes anything from, in ascending order. */
export function sourcesOf(choice: BudgetChoice): number[] {
  return [...new Set(choice.flatMap((row) => [...row]))].sort((a, b) => a - b);
}

/**
 * Blockwise coefficients `[b, m]` of chosen vectors as coefficients `[sources, m]` of the vectors themselves, 0 where a
 * block was not chosen: the same model, which needs no choice to be applied again.
 */
export function coefficientsOfSources(choice: BudgetChoice, coef: Float32Array): Float32Array {
  const sources = sourcesOf(choice);
  const m = choice[0]?.length ?? 0;
  const full = new Float32Array(sources.length * m);
  choice.forEach((row, k) => {
    row.forEach((index, j) => {
      full[sources.indexOf(index) * m + j] = coef[k * m + j]!;
    });
  });
  return full;
}
