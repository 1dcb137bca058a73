import { join } from "node:path";
import { readFile } from "node:fs/promises";
import { writeFileAtomically } from "@atlas-tv/checkpoints";
import type { Experiment } from "./cell.js";
import { chartSpec, svgOf } from "./chart.js";
import { groupsOf } from "./groups.js";
import { withParts } from "./page.js";
import { relationsOf } from "./relations.js";
import type { FinishedCell, Row } from "./rows.js";
import { csvOf, markdownOf, markdownTable } from "./table-files.js";

/** How the numbers came about. */
function provenance(finished: readonly FinishedCell[], command: string): string {
  const { run } = finished[0]!;
  const runs = groupsOf(finished, ({ cell }) => cell.path).map(([first]) => first!.run);
  const seconds = runs.reduce((sum, { seconds: own }) => sum + own, 0);
  const seeds = [...new Set(finished.flatMap(({ cell: { seed } }) => (seed === null ? [] : [seed])))];
  const versions = Object.entries(run.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `Made by \`${command}\`: ${runs.length} runs, ${(seconds / 60).toFixed(0)} minutes in all.`,
    `Accuracy in % on all test images of a task, mean ± standard error over seeds ${seeds.join(", ")}; one number where nothing is drawn at random.`,
    `${run.backend.device}; ${versions.join(", ")}.`,
  ].join("\n");
}

function relationTable(rows: readonly Row[]): string {
  const lines = relationsOf(rows).map(({ claim, verdict, measured }) => [claim, verdict, measured.join("<br>")]);
  return markdownTable(["relation", "", "difference in points, mean ± standard error over seeds"], lines);
}

/** The parts of a page by name: how it was made, what holds, and a table for every experiment. */
export function reportParts(experiments: readonly Experiment[], finished: readonly FinishedCell[], rows: readonly Row[], command: string): Record<string, string> {
  const tables = experiments.map((experiment): [string, string] => [
    experiment.id,
    markdownOf(experiment, rows.filter((row) => row.experiment === experiment.id)),
  ]);
  return { provenance: provenance(finished, command), relations: relationTable(rows), ...Object.fromEntries(tables) };
}

/** Where a page has its chart and its numbers: beside it, under its name. */
export interface ReportFiles {
  readonly csv: string;
  readonly svg: string;
}

async function writeTable({ csv, svg }: ReportFiles, experiments: readonly Experiment[], rows: readonly Row[]): Promise<void> {
  await writeFileAtomically(csv, [csvOf(rows)]);
  await writeFileAtomically(svg, [`${await svgOf(chartSpec(experiments, rows))}\n`]);
}

/** Writes the table to a folder: `sweep.csv`, `sweep.md`, `sweep.svg`. Returns the paths. */
export async function writeReport(folder: string, experiments: readonly Experiment[], parts: Readonly<Record<string, string>>, rows: readonly Row[]): Promise<string[]> {
  const files = { csv: join(folder, "sweep.csv"), svg: join(folder, "sweep.svg") };
  await writeTable(files, experiments, rows);
  const titles: Readonly<Record<string, string>> = Object.fromEntries(experiments.map(({ id, title }) => [id, title]));
  const sections = Object.entries(parts).map(([name, content]) => (titles[name] === undefined ? content : `## ${titles[name]}\n\n${content}`));
  const markdown = join(folder, "sweep.md");
  await writeFileAtomically(markdown, [`# Results\n\n${sections.join("\n\n")}\n\n![The table as a chart](sweep.svg)\n`]);
  return [files.csv, markdown, files.svg];
}

/** Writes the parts into a page that has places for them, and chart and numbers beside it. */
export async function writePage(page: string, experiments: readonly Experiment[], parts: Readonly<Record<string, string>>, rows: readonly Row[]): Promise<void> {
  const text = withParts(await readFile(page, "utf8"), parts, page);
  const beside = (extension: string): string => page.replace(/(\.md)?$/, extension);
  await writeTable({ csv: beside(".csv"), svg: beside(".svg") }, experiments, rows);
  await writeFileAtomically(page, [text]);
}
