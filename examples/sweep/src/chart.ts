import { estimate } from "@atlas-tv/core";
import type { TopLevelSpec } from "vega-lite";
import type { Experiment } from "./cell.js";
import { ZERO_SHOT, type Row } from "./rows.js";

/** Colours that people who confuse red and green tell apart (Okabe and Ito 2008). */
const COLOURS = ["#999999", "#0072b2", "#e69f00", "#cc79a7", "#009e73", "#d55e00", "#56b4e9"];

interface Point {
  readonly task: string;
  readonly setting: string;
  readonly method: string;
  readonly metric: string;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

function pointOf({ task, setting, method, metric, values }: Row): Point {
  const { mean, error } = estimate(values);
  return { task, setting, method, metric, mean: 100 * mean, low: 100 * (mean - error), high: 100 * (mean + error) };
}

const scale = { zero: false } as const;

/** Means with their standard errors: over the settings where there are several, else task beside task. */
function chartOf({ title, tasks, settings, settingTitle, methods }: Experiment, rows: readonly Row[]): Record<string, unknown> {
  const names = [ZERO_SHOT, ...methods.map(({ name }) => name)];
  const overSettings = settings.length > 1;
  const across = overSettings
    ? { field: "setting", type: "ordinal", sort: [...settings], title: settingTitle, axis: { labelAngle: 0 } }
    : { field: "task", type: "nominal", sort: [...tasks], title: null, axis: { labelAngle: 0 } };
  const marks = [{ type: "rule", strokeWidth: 1.5 }, ...(overSettings ? [{ type: "line", strokeWidth: 1.5 }] : []), { type: "point", filled: true, size: 35 }];
  const value = { field: "mean", type: "quantitative", scale, title: "%" };
  return {
    title,
    data: { values: rows.map(pointOf) },
    facet: { column: { field: overSettings ? "task" : "metric", type: "nominal", title: null, sort: overSettings ? [...tasks] : null } },
    resolve: { scale: { y: "independent" } },
    spec: {
      width: overSettings ? 160 : { step: 90 },
      height: 180,
      encoding: { x: across, color: { field: "method", type: "nominal", sort: names, scale: { domain: names, range: COLOURS.slice(0, names.length) } } },
      layer: marks.map((mark) => ({
        mark,
        encoding: mark.type === "rule" ? { y: { ...value, field: "low" }, y2: { field: "high" } } : { y: value },
      })),
    },
  };
}

/** The table as a chart, an experiment below the other. */
export function chartSpec(experiments: readonly Experiment[], rows: readonly Row[]): TopLevelSpec {
  const own = (id: string): Row[] => rows.filter(({ experiment }) => experiment === id);
  return {
    vconcat: experiments.filter(({ id }) => own(id).length > 0).map((experiment) => chartOf(experiment, own(experiment.id))),
    resolve: { scale: { color: "independent" } },
    config: { background: "white" },
  } as unknown as TopLevelSpec;
}

/** A chart as SVG, without any DOM. */
export async function svgOf(spec: TopLevelSpec): Promise<string> {
  const [vega, { compile }] = await Promise.all([import("vega"), import("vega-lite")]);
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: "none" });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
