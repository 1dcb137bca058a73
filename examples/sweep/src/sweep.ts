import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomically } from "@atlas-tv/checkpoints";
import { EXIT, runAtlas, type Terminal } from "@atlas-tv/cli";
import { InputError } from "@atlas-tv/core";
import type { Cell } from "./cell.js";
import { groupsOf } from "./groups.js";

/** What a sweep came to. */
export interface SweepOutcome {
  /** Cells that were finished before. */
  readonly kept: number;
  readonly computed: number;
  readonly failed: readonly Cell[];
  /** Whether a signal ended it. */
  readonly isInterrupted: boolean;
}

export interface SweepOptions {
  /** Folder of all runs. */
  readonly folder: string;
  /** For every command: `--threads 1`. */
  readonly args: readonly string[];
  readonly terminal: Terminal;
  /** Runs one command and returns its exit status. */
  readonly run?: typeof runAtlas;
}

/** Which command a folder is the run of; written before the run begins. */
const COMMAND_FILE = "command.json";

/** A run is finished when it has this file. */
export const RUN_FILE = "run.json";

/** @throws InputError when the folder holds a run of another command. */
function requireSameCommand(folder: string, command: readonly string[]): void {
  const made = readFileSync(join(folder, COMMAND_FILE), "utf8").trim();
  if (made === JSON.stringify(command)) return;
  throw new InputError({
    where: folder,
    got: `a run of atlas ${(JSON.parse(made) as string[]).join(" ")}`,
    expected: `one of atlas ${command.join(" ")}`,
    next: "give another --out, or remove the folder",
  });
}

/** Computes one cell, or what is left of it. Returns the exit status. */
async function runCell({ args, path }: Cell, options: SweepOptions): Promise<number> {
  const { folder, terminal, run = runAtlas } = options;
  const at = join(folder, path);
  const command = [...args, ...options.args];
  const begun = existsSync(join(at, COMMAND_FILE));
  if (begun) requireSameCommand(at, command);
  else await writeFileAtomically(join(at, COMMAND_FILE), [`${JSON.stringify(command)}\n`]);
  return run([...command, "--run", at, ...(begun ? ["--resume"] : []), "--json"], { ...terminal, out: () => {} });
}

/**
 * Computes every cell that is not finished. May be killed at any moment: the next call goes on with the cell that was
 * under way, from its last epoch. A cell that fails is reported, and the others go on.
 */
export async function runSweep(all: readonly Cell[], options: SweepOptions): Promise<SweepOutcome> {
  const { folder, terminal } = options;
  const cells = groupsOf(all, ({ path }) => path).map(([cell]) => cell!);
  const isFinished = ({ path }: Cell): boolean => existsSync(join(folder, path, RUN_FILE));
  for (const cell of cells.filter(isFinished)) requireSameCommand(join(folder, cell.path), [...cell.args, ...options.args]);
  const left = cells.filter((cell) => !isFinished(cell));
  const kept = cells.length - left.length;
  const failed: Cell[] = [];
  let computed = 0;
  for (const cell of left) {
    if (terminal.signal.aborted) break;
    const started = performance.now();
    const status = await runCell(cell, options);
    if (status === EXIT.interrupted) break;
    if (status === EXIT.done) computed += 1;
    else failed.push(cell);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    const result = status === EXIT.done ? `${seconds} s` : `failed with status ${status}: atlas ${cell.args.join(" ")}`;
    terminal.note(`${kept + computed + failed.length} of ${cells.length}: ${cell.path}, ${result}`);
  }
  return { kept, computed, failed, isInterrupted: kept + computed + failed.length < cells.length };
}
