import { estimate, type Estimate } from "@atlas-tv/core";
import type { JointSetup } from "./joint-experiment.js";
import type { FinishedRun } from "./recorded-run.js";
import type { SharedFlags } from "./shared-flags.js";
import { table, type Terminal } from "./terminal.js";
import { percent } from "./terminal-progress.js";

/** What a metric is shown as: negation's two with the names of their data sets. */
function shownName({ goal }: JointSetup, metric: string): string {
  const index = goal.id === "negation" ? ["target", "control"].indexOf(metric) : -1;
  return index < 0 ? metric : `${goal.tasks[index]} (${metric})`;
}

/** The epoch that was kept, counted from 1; null where none was. */
function keptEpoch({ epochs }: FinishedRun): number | null {
  return epochs.findLast(({ selected }) => selected)?.epoch ?? null;
}

/** Prints what one or several seeds came to, on test images. */
export function printJointRuns(
  setup: JointSetup,
  runs: readonly FinishedRun[],
  column: string,
  flags: SharedFlags,
  notes: readonly string[],
  terminal: Terminal,
): void {
  const { zeroShot } = runs[0]!;
  const names = Object.keys(zeroShot);
  const final = Object.fromEntries(
    names.map((name): [string, Estimate] => [name, estimate(runs.map(({ final: metrics }) => metrics[name]!))]),
  );
  if (flags.json) {
    const document = {
      goal: setup.goal.id,
      tasks: setup.goal.tasks,
      composition: setup.composition.id,
      mode: setup.mode,
      zeroShot,
      final,
      runs: runs.map((run) => ({ path: run.path, epoch: keptEpoch(run), final: run.final })),
      notes,
    };
    terminal.out(JSON.stringify(document, null, 2));
    return;
  }
  const error = ({ error: value, count }: Estimate): string => (count > 1 ? `± ${(100 * value).toFixed(1)}` : "");
  terminal.out(
    table([
      [`${setup.goal.id}, test images`, "zero-shot", column, ""],
      ...names.map((name) => [shownName(setup, name), percent(zeroShot[name]!), percent(final[name]!.mean), error(final[name]!)]),
    ]),
  );
  terminal.out(`\n${runs.map(({ path }) => path).join("\n")}`);
}
