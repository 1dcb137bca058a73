import { existsSync } from "node:fs";
import { join } from "node:path";
import { readRun, type RunRecord } from "@atlas-tv/checkpoints";
import { InputError } from "@atlas-tv/core";
import type { Cell } from "./cell.js";
import { groupsOf } from "./groups.js";
import { RUN_FILE } from "./sweep.js";

/** One line of the table: a metric of one method, measured once a seed. */
export interface Row {
  readonly experiment: string;
  readonly task: string;
  readonly setting: string;
  readonly method: string;
  readonly metric: string;
  /** In [0, 1], in the order of the seeds; a single value where nothing is drawn at random. */
  readonly values: readonly number[];
}

/** The pre-trained model among the methods. */
export const ZERO_SHOT = "zero-shot";

/** A finished run and its cell. */
export interface FinishedCell {
  readonly cell: Cell;
  readonly run: RunRecord;
}

/** Reads what is finished of the cells. */
export async function readFinished(cells: readonly Cell[], folder: string): Promise<FinishedCell[]> {
  const finished: FinishedCell[] = [];
  for (const cell of cells) {
    const path = join(folder, cell.path, RUN_FILE);
    if (existsSync(path)) finished.push({ cell, run: await readRun(path) });
  }
  return finished;
}

const keyOf = ({ experiment, task, setting, method }: Cell): string => JSON.stringify([experiment.id, task, setting, method.name]);

/** @throws InputError when runs of one line were made in different ways, for example before and after a default changed. */
function requireAlike(runs: readonly FinishedCell[]): void {
  const made = ({ run: { options, hashes, backend } }: FinishedCell): string =>
    JSON.stringify({ options, base: hashes.base, taskVectors: hashes.taskVectors, backend: backend.id });
  const other = runs.find((run) => made(run) !== made(runs[0]!));
  if (other === undefined) return;
  throw new InputError({
    where: other.cell.path,
    got: `other options or weights than ${runs[0]!.cell.path}`,
    expected: "runs that differ in their seed alone",
    next: "remove the older of the two, and run the sweep again",
  });
}

function rowsOf(runs: readonly FinishedCell[]): Row[] {
  requireAlike(runs);
  const { experiment, task, setting, method } = runs[0]!.cell;
  return Object.entries(method.metrics ?? experiment.metrics).flatMap(([name, metric]) => {
    const row = { experiment: experiment.id, task, setting, metric };
    const zeroShot = runs.map(({ run }) => run.zeroShot[name] ?? run.zeroShot["test"]!);
    return [
      { ...row, method: ZERO_SHOT, values: [zeroShot[0]!] },
      { ...row, method: method.name, values: runs.map(({ run }) => run.final[name]!.raw) },
    ];
  });
}

/** The table: the methods of every task and setting, the pre-trained model first among them. */
export function tableOf(finished: readonly FinishedCell[]): Row[] {
  const rows = groupsOf(finished, ({ cell }) => keyOf(cell)).flatMap(rowsOf);
  const seen = new Set<string>();
  return rows.filter(({ experiment, task, setting, metric, method }) => {
    const key = JSON.stringify([experiment, task, setting, metric, method]);
    return !seen.has(key) && seen.add(key);
  });
}
