import { expect, test } from "vitest";
import { learnerOptions, learningOf, type LearningFlags } from "../src/learning-flags.js";
import type { Recipe } from "../src/recipes.js";

const RECIPE: Recipe = { lr: 0.1, wd: 0.2, epochs: 4, batchSize: 32, schedule: "cosine", warmup: 2, clip: 0.5 };

const learning = (flags: Partial<LearningFlags> = {}, recipe: Partial<Recipe> = {}): ReturnType<typeof learningOf> =>
  learningOf({ preset: "default", accumulate: 1, ...flags }, { ...RECIPE, ...recipe }, () => {});

test("what the recipe says reaches the learner: rate, decay, clipping, warm-up and cosine", () => {
  const { schedule, ...options } = learnerOptions(learning());
  expect(options).toEqual({ epochs: 4, learningRate: 0.1, adamw: { weightDecay: 0.2 }, clipNorm: 0.5, accumulate: 1 });
  expect([0, 1, 2, 6].map((step) => schedule!(step, 10))).toEqual([0.5, 1, 1, 0.5]);
  expect(learnerOptions(learning({}, { schedule: "constant" })).schedule!(9, 10)).toBe(1);
});

test("flags come before the recipe, and the Lp term, micro-batches and accumulation are theirs alone", () => {
  const flags = { lr: 1, wd: 0, epochs: 7, accumulate: 3, microBatch: 8, lpReg: 2 } as const;
  expect(learnerOptions(learning(flags))).toMatchObject({
    epochs: 7, learningRate: 1, adamw: { weightDecay: 0 }, accumulate: 3, microBatch: 8, regulariser: { order: 2 },
  });
  expect(learnerOptions(learning({ lpReg: 1 })).regulariser).toEqual({ order: 1 });
});
