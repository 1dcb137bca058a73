import { describe, expect, it } from "vitest";
import { Random } from "@atlas-tv/core";
import {
  oversample, oversamplingCopies, splitTrainValidation, twoStreamBatchCount, twoStreamBatches, twoStreamShares,
} from "../src/index.js";
import { fixtureJson } from "./fixture-files.js";

interface Expected {
  readonly val_split_sizes: { train: number; val_size: number; train_size: number }[];
  readonly few_shot_oversampling: { n_kept: number; batch_size: number; copies: number }[];
  readonly two_stream_batch_sampler_len: {
    n_primary: number; n_secondary: number; batch_size: number; primary_per_batch: number; secondary_per_batch: number; len: number;
  }[];
}

const expected = fixtureJson<Expected>("schedules", "expected.json");
const range = (from: number, count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => from + i);

describe("the validation split", () => {
  it.each(expected.val_split_sizes)("of $train images", ({ train, val_size, train_size }) => {
    const split = splitTrainValidation(train, 0);
    expect(split.validation.length).toBe(val_size);
    expect(split.train.length).toBe(train_size);
    expect(Int32Array.from([...split.train, ...split.validation]).sort()).toEqual(range(0, train));
  });
});

describe("few-shot oversampling", () => {
  it.each(expected.few_shot_oversampling)("of $n_kept images in batches of $batch_size", ({ n_kept, batch_size, copies }) => {
    expect(oversamplingCopies(n_kept, batch_size)).toBe(copies);
    const repeated = oversample(range(7, n_kept), batch_size);
    expect(repeated.length).toBe(copies * n_kept);
    expect(new Set(repeated)).toEqual(new Set(range(7, n_kept)));
  });
});

describe("two-stream batches", () => {
  it.each(expected.two_stream_batch_sampler_len)("of $n_primary and $n_secondary images in batches of $batch_size", (entry) => {
    expect(twoStreamShares(entry.batch_size)).toEqual({ primary: entry.primary_per_batch, secondary: entry.secondary_per_batch });
    expect(twoStreamBatchCount(entry.n_primary, entry.batch_size)).toBe(entry.len);
    const primary = range(0, entry.n_primary);
    const secondary = range(entry.n_primary, entry.n_secondary);
    const batches = twoStreamBatches(primary, secondary, entry.batch_size, new Random(1));
    expect(batches.length).toBe(entry.len);
    const seen = batches.flatMap((batch) => [...batch.subarray(0, entry.primary_per_batch)]);
    expect(new Set(seen).size).toBe(entry.len * entry.primary_per_batch);
    expect(seen.every((index) => index < entry.n_primary)).toBe(true);
    const repeated = batches.flatMap((batch) => [...batch.subarray(entry.primary_per_batch)]);
    expect(repeated.length).toBe(entry.len * entry.secondary_per_batch);
    const counts = new Map<number, number>();
    for (const index of repeated) counts.set(index, (counts.get(index) ?? 0) + 1);
    expect(repeated.every((index) => index >= entry.n_primary)).toBe(true);
    // Laps are whole: no secondary image comes up twice before every other came up once.
    if (counts.size === entry.n_secondary) expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(1);
    else expect(Math.max(0, ...counts.values())).toBeLessThanOrEqual(1);
  });
});
