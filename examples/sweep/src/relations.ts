import { estimate, type Estimate } from "@atlas-tv/core";
import { groupsOf } from "./groups.js";
import { ZERO_SHOT, type Row } from "./rows.js";
import { estimateText } from "./table-files.js";

/** A difference between two methods on one task at one setting. */
export interface Comparison {
  readonly task: string;
  readonly setting: string;
  /** Over seeds: both methods saw the same shots and the same test images. */
  readonly difference: Estimate;
}

/** Something that the paper makes expect, and what was measured. */
export interface Relation {
  readonly claim: string;
  readonly verdict: string;
  readonly measured: readonly string[];
}

/** Differences run by run; a method without a seed stands against every run of the other. */
export function pairedDifference(ours: readonly number[], theirs: readonly number[]): Estimate {
  const [a, b] = [ours, theirs].map((values, i) => (values.length > 1 ? values : Array.from([theirs, ours][i]!, () => values[0]!))) as [number[], number[]];
  return estimate(a.slice(0, b.length).map((value, run) => value - b[run]!));
}

/** All tasks and settings of an experiment on which both methods were measured. */
export function compare(rows: readonly Row[], experiment: string, ours: string, theirs: string, metric = "accuracy"): Comparison[] {
  const own = rows.filter((row) => row.experiment === experiment && row.metric === metric);
  return own.filter(({ method }) => method === ours).flatMap(({ task, setting, values }) => {
    const other = own.find((row) => row.method === theirs && row.task === task && row.setting === setting);
    return other === undefined ? [] : [{ task, setting, difference: pairedDifference(values, other.values) }];
  });
}

const positive = ({ difference }: Comparison): boolean => difference.mean > 0;

function comparisonText({ task, setting, difference }: Comparison): string {
  const sign = difference.mean > 0 ? "+" : "";
  return `${task}${setting === "" ? "" : ` ${setting}`}: ${sign}${estimateText(difference)}`;
}

const texts = (comparisons: readonly Comparison[]): string[] => comparisons.map(comparisonText);

/** "holds" everywhere, or on the mean over tasks at every setting. */
function verdictOf(comparisons: readonly Comparison[]): string {
  if (comparisons.every(positive)) return "holds";
  const means = groupsOf(comparisons, ({ setting }) => setting).map((group) => estimate(group.map(({ difference }) => difference.mean)).mean);
  const count = `on ${comparisons.filter(positive).length} of ${comparisons.length}`;
  return means.every((mean) => mean > 0) ? `holds on the mean over tasks, and ${count}` : `does not hold: ${count}`;
}

function relation(claim: string, comparisons: readonly Comparison[], verdict = verdictOf(comparisons)): Relation[] {
  return comparisons.length === 0 ? [] : [{ claim, verdict, measured: texts(comparisons) }];
}

/** At least three tasks on which all comparisons are positive. */
function onThreeTargets(comparisons: readonly Comparison[]): string {
  const tasks = groupsOf(comparisons, ({ task }) => task);
  const won = tasks.filter((group) => group.every(positive)).length;
  return `${won >= 3 ? "holds" : "does not hold"}: on ${won} of ${tasks.length} targets`;
}

/** How much more a method gains from the least to the largest share of the data than another one. */
function growths(rows: readonly Row[], ours: string, theirs: string): Comparison[] {
  const own = rows.filter(({ experiment }) => experiment === "partition");
  return [...new Set(own.map(({ task }) => task))].flatMap((task) => {
    const growth = (method: string): readonly number[] => {
      const bySetting = own.filter((row) => row.task === task && row.method === method).sort((a, b) => Number(a.setting) - Number(b.setting));
      const [least, most] = [bySetting[0], bySetting.at(-1)];
      return least === undefined || least === most ? [] : most!.values.slice(0, least.values.length).map((value, run) => value - least.values[run]!);
    };
    const [a, b] = [growth(ours), growth(theirs)];
    return a.length === 0 || b.length === 0 ? [] : [{ task, setting: `${ours} beside ${theirs}`, difference: pairedDifference(a, b) }];
  });
}

/** How far the target falls, which decides, and the change of its accuracy, which is shown. */
function targetBeside(rows: readonly Row[], other: string): { lowered: Comparison[]; changes: string[] } {
  return {
    lowered: compare(rows, "negation", other, "aTLAS", "target"),
    changes: texts(compare(rows, "negation", "aTLAS", other, "target")),
  };
}

function negation(rows: readonly Row[], threshold: number): Relation[] {
  const { lowered, changes } = targetBeside(rows, ZERO_SHOT);
  if (lowered.length === 0) return [];
  const mean = (method: string, task: string): number =>
    estimate(rows.find((row) => row.experiment === "negation" && row.metric === "control" && row.method === method && row.task === task)!.values).mean;
  const kept = lowered.map(({ task }) => ({ task, share: mean("aTLAS", task) / mean(ZERO_SHOT, task) }));
  const scalar = targetBeside(rows, "best single scalar");
  const won = lowered.filter((comparison) => positive(comparison) && kept.find(({ task }) => task === comparison.task)!.share >= threshold);
  return [
    {
      claim: `Negation lowers the target and keeps at least ${100 * threshold} % of the control`,
      verdict: `${won.length === lowered.length ? "holds" : "does not hold"}: on ${won.length} of ${lowered.length} targets`,
      measured: [
        ...changes,
        ...kept.map(({ task, share }) => `control beside ${task}: ${(100 * share).toFixed(1)} % kept`),
      ],
    },
    ...relation("Negation lowers the target further than the best single scalar", scalar.lowered).map((found) => ({ ...found, measured: scalar.changes })),
  ];
}

/** The relations of the paper that the table can show. */
export function relationsOf(rows: readonly Row[]): Relation[] {
  const fewShots = (ours: string, theirs: string, shots: (k: number) => boolean): Comparison[] =>
    compare(rows, "few-shots", ours, theirs).filter(({ setting }) => shots(Number(setting)));
  const overZeroShot = fewShots("aTLAS", ZERO_SHOT, (k) => k >= 4);
  return [
    ...relation("aTLAS is above zero-shot from 4 shots on, on at least three targets", overZeroShot, onThreeTargets(overZeroShot)),
    ...relation("aTLAS is above isotropic coefficients from 4 shots on", fewShots("aTLAS", "isotropic", (k) => k >= 4)),
    ...["Tip-Adapter", "LP++"].flatMap((adapter) =>
      relation(`aTLAS + ${adapter} is above ${adapter} alone at up to 4 shots`, fewShots(`aTLAS + ${adapter}`, adapter, (k) => k <= 4))),
    ...negation(rows, 0.95),
    ...relation("Addition: blockwise coefficients are above the best single scalar in mean normalised accuracy", compare(rows, "addition", "aTLAS", "best single scalar", "normalised mean")),
    ...relation("UFM is above zero-shot", compare(rows, "ufm", "UFM", ZERO_SHOT)),
    ...relation("The gain from more data grows with K", ["aTLAS ×8", "aTLAS ×64"].flatMap((ours) => growths(rows, ours, "aTLAS ×1"))),
    ...relation("A budget spent blockwise is at least as good as one spent at random", compare(rows, "budget", "blockwise", "random")),
  ];
}
