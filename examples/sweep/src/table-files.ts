import { estimate, type Estimate } from "@atlas-tv/core";
import type { Experiment } from "./cell.js";
import { ZERO_SHOT, type Row } from "./rows.js";

const percent = (share: number): string => (100 * share).toFixed(1);

/** Mean and, where there is more than one run, standard error, in percent. */
export function estimateText({ mean, error, count }: Estimate): string {
  return count > 1 ? `${percent(mean)} ± ${percent(error)}` : percent(mean);
}

/** A field of a CSV file (RFC 4180). */
function csvField(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One line a row; accuracies in [0, 1], those of the seeds separated by spaces. */
export function csvOf(rows: readonly Row[]): string {
  const head = ["experiment", "task", "setting", "method", "metric", "mean", "standard error", "runs", "values"];
  const lines = rows.map(({ experiment, task, setting, method, metric, values }) => {
    const { mean, error, count } = estimate(values);
    const measured = [mean.toFixed(6), count > 1 ? error.toFixed(6) : "", String(count), values.map((value) => value.toFixed(6)).join(" ")];
    return [experiment, task, setting, method, metric, ...measured];
  });
  return [head, ...lines].map((line) => `${line.map(csvField).join(",")}\r\n`).join("");
}

/** A Markdown table. */
export function markdownTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...lines.map(line)].join("\n");
}

/** The table of one experiment in Markdown: a line a task and method, a column a setting and metric, in percent. */
export function markdownOf({ settings, settingTitle, methods, metrics, tasks }: Experiment, rows: readonly Row[]): string {
  const names = [...new Set(Object.values(metrics))];
  const columns = settings.flatMap((setting) => names.map((metric) => ({ setting, metric })));
  const title = ({ setting, metric }: { setting: string; metric: string }): string =>
    [setting === "" ? "" : `${settingTitle} = ${setting}`, names.length > 1 || setting === "" ? metric : ""].filter(Boolean).join(", ");
  const lines = tasks.flatMap((task) => [ZERO_SHOT, ...methods.map(({ name }) => name)].flatMap((method) => {
    const cells = columns.map(({ setting, metric }) => {
      const row = rows.find((r) => r.task === task && r.method === method && r.setting === setting && r.metric === metric);
      return row === undefined ? "" : estimateText(estimate(row.values));
    });
    return cells.some((cell) => cell !== "") ? [[task, method, ...cells]] : [];
  }));
  return markdownTable(["task", "method", ...columns.map(title)], lines);
}
