import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { describeFailure, EXIT, exitStatus, type Terminal } from "@atlas-tv/cli";
import { InputError } from "@atlas-tv/core";
import { enableProdMode } from "@tensorflow/tfjs-core";
import { cellsOf } from "./cell.js";
import { briefly, EXPERIMENTS, QUICK, selected } from "./experiments.js";
import { reportParts, writePage, writeReport } from "./report.js";
import { readFinished, tableOf } from "./rows.js";
import { runSweep } from "./sweep.js";

const OPTIONS = {
  experiments: { type: "string" },
  tasks: { type: "string" },
  shots: { type: "string" },
  methods: { type: "string" },
  seeds: { type: "string" },
  threads: { type: "string" },
  out: { type: "string" },
  page: { type: "string" },
  collect: { type: "boolean", default: false },
  brief: { type: "boolean", default: false },
  quick: { type: "boolean", default: false },
} as const;

function parsedFlags() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new InputError({ where: "sweep", got, expected: Object.keys(OPTIONS).map((name) => `--${name}`).join(", ") }, { cause });
  }
}

const list = (text: string): string[] => text.split(",").map((item) => item.trim());

function seedsOf(text: string): number[] {
  const seeds = list(text).map(Number);
  if (seeds.every((seed) => Number.isSafeInteger(seed) && seed >= 0) && new Set(seeds).size === seeds.length) return seeds;
  throw new InputError({ where: "--seeds", got: text, expected: "whole numbers from 0 that differ, separated by commas" });
}

/** The command that gives the same table, wherever it is written. */
function commandOf({ quick, brief, collect: _collect, out: _out, page: _page, ...values }: ReturnType<typeof parsedFlags>): string {
  const given = Object.entries(values).map(([name, value]) => `--${name} ${/^[\w.,+-]+$/.test(value) ? value : `"${value}"`}`);
  const args = [...(quick ? ["--quick"] : []), ...(brief ? ["--brief"] : []), ...given];
  return ["npm run sweep", ...(args.length === 0 ? [] : ["--", ...args])].join(" ");
}

/** Computes what is missing and writes the table. Returns the exit status. */
async function sweep(terminal: Terminal): Promise<number> {
  const flags = parsedFlags();
  const { quick, brief, collect, page, threads = "1" } = flags;
  const folder = resolve(flags.out ?? (quick ? "runs/sweep-quick" : "runs/sweep"));
  const names = (["experiments", "tasks", "shots", "methods"] as const).flatMap((name) => (flags[name] === undefined ? [] : [[name, list(flags[name])]]));
  const experiments = selected(quick ? QUICK : brief ? briefly(EXPERIMENTS) : EXPERIMENTS, Object.fromEntries(names));
  const cells = cellsOf(experiments, seedsOf(flags.seeds ?? (quick ? "1" : "1,2,3")));
  if (!collect) {
    const { kept, computed, failed, isInterrupted } = await runSweep(cells, { folder, args: ["--threads", threads], terminal });
    if (isInterrupted || failed.length > 0) {
      terminal.note(`${kept + computed} of ${cells.length} runs are finished, ${failed.length} failed; the same command goes on with the others`);
      return isInterrupted ? EXIT.interrupted : EXIT.failure;
    }
  }
  const finished = await readFinished(cells, folder);
  if (finished.length === 0) throw new InputError({ where: folder, got: "no finished run", expected: "runs of this sweep", next: "leave --collect out" });
  const rows = tableOf(finished);
  const parts = reportParts(experiments, finished, rows, commandOf(flags));
  const files = await writeReport(folder, experiments, parts, rows);
  if (page !== undefined) await writePage(resolve(page), experiments, parts, rows);
  terminal.out([...files, ...(page === undefined ? [] : [page])].join("\n"));
  return EXIT.done;
}

const interruption = new AbortController();
// The first signal lets a step end and leaves its state; the second one ends at once.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    interruption.abort();
  });
}
enableProdMode();
const terminal: Terminal = {
  out: (text) => {
    process.stdout.write(`${text}\n`);
  },
  note: (text) => {
    process.stderr.write(`${text}\n`);
  },
  signal: interruption.signal,
};
process.exitCode = await sweep(terminal).catch((error: unknown) => {
  terminal.note(describeFailure(error));
  return exitStatus(error);
});
