import { estimate, type Estimate } from "@atlas-tv/core";
import { table, type RunRemarks, type Terminal } from "./terminal.js";
import { percent } from "./terminal-progress.js";

/** What one seed came to: accuracies in [0, 1]. */
export interface Outcome {
  readonly seed: number;
  readonly path: string;
  readonly zeroShot: number;
  readonly final: Readonly<Record<string, number>>;
}

/** What is said beside the numbers. */
export interface OutcomeReport {
  /** Of the table: data set and number of images. */
  readonly heading: string;
  /** What was learned: "blockwise". */
  readonly label: string;
  /** Further fields of the JSON document. */
  readonly about: Readonly<Record<string, unknown>>;
}

/** Prints mean and standard error over seeds, raw and clamped at zero-shot: a table, or one JSON document. */
export function printOutcomes(
  { heading, label, about }: OutcomeReport,
  outcomes: readonly Outcome[],
  { json }: { readonly json: boolean },
  remarks: RunRemarks,
  terminal: Terminal,
): void {
  const { zeroShot, final: first } = outcomes[0]!;
  const estimates = Object.keys(first).map((name): [string, Estimate] => [name, estimate(outcomes.map(({ final }) => final[name]!))]);
  const clamped = (mean: number): number => Math.max(mean, zeroShot);
  if (json) {
    const document = {
      ...about,
      zeroShot,
      final: Object.fromEntries(estimates),
      clamped: Object.fromEntries(estimates.map(([name, { mean }]) => [name, clamped(mean)])),
      runs: outcomes,
      notes: remarks.all,
    };
    terminal.out(JSON.stringify(document, null, 2));
    return;
  }
  const error = ({ error: value, count: runs }: Estimate): string => (runs > 1 ? `± ${(100 * value).toFixed(1)}` : "");
  terminal.out(
    table([
      [heading, "accuracy", "", "clamped"],
      ["zero-shot", percent(zeroShot), "", ""],
      ...estimates.map(([name, value]) => [`${label}: ${name}`, percent(value.mean), error(value), percent(clamped(value.mean))]),
    ]),
  );
  terminal.out(`\n${outcomes.map(({ path }) => path).join("\n")}`);
}
