import { join } from "node:path";
import { Option, type Command } from "commander";
import { seeds } from "./flags.js";
import { resumable } from "./interruption.js";
import type { Remarks } from "./terminal.js";

/** Flags that say which runs there are, and where their results go. */
export interface RunFlags {
  readonly seed: readonly number[];
  readonly run?: string;
  readonly resume: boolean;
}

export function addRunFlags(command: Command, folder: string): Command {
  return command
    .optionsGroup("Runs:")
    .addOption(
      new Option("--seed <n,…>", "one or several; several give mean and standard error").argParser(seeds).default([1], "1"),
    )
    .option("--run <dir>", `folder for results (default: ${folder})`)
    .option("--resume", "go on with the unfinished run in that folder", false);
}

/** Adds the flag for results beside the run folder. */
export function addSaveFlag(command: Command): Command {
  return command.option("--save <dir>", "also add the results to <dir>/<model>/, in the reference's JSON layout");
}

/** Says, once all seeds are through, whose results the file has that collects them. */
export function remarkSavedSeed({ seed, save }: RunFlags & { readonly save?: string }, file: string, remarks: Remarks): void {
  if (save === undefined || seed.length === 1) return;
  remarks.add(`--save: ${file} holds the results of seed ${seed.at(-1)}, the last one; those of every seed are in its run folder`);
}

/** Runs every seed: a single one in the folder itself, several in a folder each. */
export async function eachSeed<T>(
  { seed, run }: RunFlags,
  defaultRun: string,
  work: (seed: number, path: string) => Promise<T>,
): Promise<T[]> {
  const folder = run ?? defaultRun;
  const results: T[] = [];
  for (const value of seed) {
    results.push(await resumable(() => work(value, seed.length === 1 ? folder : join(folder, `seed-${value}`))));
  }
  return results;
}
