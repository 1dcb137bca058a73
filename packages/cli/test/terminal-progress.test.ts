import { PassThrough } from "node:stream";
import type { ProgressEvent } from "@atlas-tv/core";
import { expect, test } from "vitest";
import { terminalProgress, type Terminal } from "../src/index.js";

const SHOW_CURSOR = "\x1B[?25h";

const EVENTS: readonly ProgressEvent[] = [
  { type: "start", epochs: 2, steps: 4, resumedAt: 1 },
  { type: "step", step: 3, steps: 4, epoch: 2, loss: 0.5, learningRate: 0.1, gradientNorm: 1 },
  { type: "epoch", epochs: 2, record: { epoch: 2, step: 4, loss: 0.25, metrics: { accuracy: 0.5 }, selected: true } },
  { type: "adapter", step: 1, steps: 2, loss: 0.5 },
  { type: "adapter", step: 2, steps: 2, loss: 0.125 },
];

function terminal(screen?: NodeJS.WriteStream): { terminal: Terminal; notes: string[] } {
  const notes: string[] = [];
  const signal = new AbortController().signal;
  return {
    notes,
    terminal: {
      out: () => {},
      note: (text) => {
        notes.push(text);
      },
      signal,
      ...(screen === undefined ? {} : { screen }),
    },
  };
}

test("without a screen, progress is one line an epoch, and one for a fitted adapter", () => {
  const { terminal: plain, notes } = terminal();
  const { onEvent, end } = terminalProgress("seed 1", plain, { quiet: false });
  EVENTS.forEach(onEvent);
  end();
  expect(notes).toEqual([
    "seed 1: going on after epoch 1 of 2",
    "seed 1: epoch 2/2 loss 0.2500 accuracy 50.0%",
    "seed 1: adapter fitted in 2 steps, loss 0.1250",
  ]);
});

test("on a screen, progress is a bar that gives the cursor back even where the work breaks off", () => {
  const screen = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  const { terminal: watched, notes } = terminal(screen as unknown as NodeJS.WriteStream);
  const { onEvent, end } = terminalProgress("seed 1", watched, { quiet: false });
  EVENTS.slice(0, 2).forEach(onEvent);
  EVENTS.slice(3, 4).forEach(onEvent);
  end();
  const written = String(screen.read());
  expect(written).toContain("adapter");
  expect(written).toContain("seed 1");
  expect(written.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(written.lastIndexOf("seed 1"));
  expect(notes).toEqual(["seed 1: going on after epoch 1 of 2"]);
});

test("quiet progress shows nothing", () => {
  const { terminal: plain, notes } = terminal();
  EVENTS.forEach(terminalProgress("seed 1", plain, { quiet: true }).onEvent);
  expect(notes).toEqual([]);
});
