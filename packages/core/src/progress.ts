/** Measurements of one epoch, by name (`accuracy`, `control` …). */
export type Metrics = Readonly<Record<string, number>>;

/** What happened in one epoch. */
export interface EpochRecord {
  /** 1-based. */
  readonly epoch: number;
  /** Optimiser steps taken so far. */
  readonly step: number;
  /** Mean over the epoch's batches, regulariser included. */
  readonly loss: number;
  readonly metrics: Metrics;
  /** Whether the selection rule kept this epoch's coefficients. */
  readonly selected: boolean;
}

/** Emitted by long work; people see a bar, programs a log. */
export type ProgressEvent =
  | { readonly type: "start"; readonly epochs: number; readonly steps: number; readonly resumedAt: number }
  | { readonly type: "step"; readonly step: number; readonly steps: number; readonly epoch: number; readonly loss: number; readonly learningRate: number; readonly gradientNorm: number }
  | { readonly type: "epoch"; readonly record: EpochRecord; readonly epochs: number }
  /** A step of an adapter on frozen features, 1 … steps. */
  | { readonly type: "adapter"; readonly step: number; readonly steps: number; readonly loss: number };

/** Receives progress events; must not throw. */
export type ProgressSink = (event: ProgressEvent) => void;
