import { describe, expect, it } from "vitest";
import { InputError } from "@atlas-tv/core";
import { chartSpec, svgOf } from "../src/chart.js";
import { EXPERIMENTS } from "../src/experiments.js";
import { withParts } from "../src/page.js";
import { compare, pairedDifference, relationsOf } from "../src/relations.js";
import type { Row } from "../src/rows.js";
import { csvOf, markdownOf } from "../src/table-files.js";

const experiment = EXPERIMENTS.find(({ id }) => id === "few-shots")!;

function row(method: string, setting: string, values: readonly number[], about: Partial<Row> = {}): Row {
  return { experiment: "few-shots", task: "MNIST", setting, method, metric: "accuracy", values, ...about };
}

const ROWS: readonly Row[] = [
  row("zero-shot", "4", [0.5]),
  row("aTLAS", "4", [0.6, 0.62, 0.64]),
  row("LP++", "4", [0.58, 0.63, 0.6]),
  row("aTLAS + LP++", "4", [0.6, 0.65, 0.62]),
];

describe("the table", () => {
  it("is CSV with mean, standard error and the value of every run", () => {
    expect(csvOf(ROWS.slice(0, 2)).split("\r\n")).toEqual([
      "experiment,task,setting,method,metric,mean,standard error,runs,values",
      "few-shots,MNIST,4,zero-shot,accuracy,0.500000,,1,0.500000",
      "few-shots,MNIST,4,aTLAS,accuracy,0.620000,0.011547,3,0.600000 0.620000 0.640000",
      "",
    ]);
    expect(csvOf([row('a "b", c', "1", [1])])).toContain('"a ""b"", c"');
  });

  it("is Markdown with a line a task and method, and a column a setting", () => {
    expect(markdownOf({ ...experiment, tasks: ["MNIST"], settings: ["1", "4"] }, ROWS).split("\n").slice(0, 4)).toEqual([
      "| task | method | k = 1 | k = 4 |",
      "| --- | --- | --- | --- |",
      "| MNIST | zero-shot |  | 50.0 |",
      "| MNIST | aTLAS |  | 62.0 ± 1.2 |",
    ]);
  });

  it("is an SVG chart that names every method and task", async () => {
    const svg = await svgOf(chartSpec(EXPERIMENTS, ROWS));
    expect(svg.startsWith("<svg")).toBe(true);
    for (const text of ["MNIST", "zero-shot", "aTLAS + LP++", experiment.title]) expect(svg).toContain(text);
    expect(svg).not.toContain("NaN");
  });
});

describe("relations", () => {
  it("are differences run by run, so that what all methods share of a seed cancels", () => {
    const { mean, error, count } = pairedDifference([0.6, 0.7, 0.8], [0.5, 0.6, 0.7]);
    expect(mean).toBeCloseTo(0.1);
    expect(error).toBeCloseTo(0);
    expect(count).toBe(3);
    expect(pairedDifference([0.5], [0.4, 0.6])).toMatchObject({ mean: expect.closeTo(0) as number, count: 2 });
    expect(pairedDifference([0.6, 0.8], [0.5])).toMatchObject({ mean: expect.closeTo(0.2) as number, count: 2 });
  });

  it("compare two methods wherever both were measured", () => {
    const [comparison, ...others] = compare(ROWS, "few-shots", "aTLAS + LP++", "LP++");
    expect(others).toEqual([]);
    expect(comparison).toMatchObject({ task: "MNIST", setting: "4" });
    expect(comparison!.difference.mean).toBeCloseTo(0.02);
  });

  it("say what does not hold", () => {
    const verdict = (claim: RegExp, rows: readonly Row[]): string => relationsOf(rows).find((relation) => claim.test(relation.claim))!.verdict;
    expect(verdict(/above LP\+\+ alone/, ROWS)).toBe("holds");
    expect(verdict(/three targets/, ROWS)).toBe("does not hold: on 1 of 1 targets");
    const worse = [...ROWS, row("LP++", "1", [0.7]), row("aTLAS + LP++", "1", [0.6])];
    expect(verdict(/above LP\+\+ alone/, worse)).toBe("does not hold: on 1 of 2");
    const onMean = [...ROWS, row("LP++", "4", [0.6], { task: "B" }), row("aTLAS + LP++", "4", [0.599], { task: "B" })];
    expect(verdict(/above LP\+\+ alone/, onMean)).toBe("holds on the mean over tasks, and on 1 of 2");
  });

  it("ask of negation that it keeps 95 % of the control", () => {
    const about = (metric: string): Partial<Row> => ({ experiment: "negation", metric });
    const rows = (control: number): Row[] => [
      row("zero-shot", "", [0.6], about("target")), row("aTLAS", "", [0.4], about("target")),
      row("zero-shot", "", [0.5], about("control")), row("aTLAS", "", [control], about("control")),
    ];
    expect(relationsOf(rows(0.48))[0]).toMatchObject({ verdict: "holds: on 1 of 1 targets", measured: ["MNIST: -20.0", "control beside MNIST: 96.0 % kept"] });
    expect(relationsOf(rows(0.47))[0]).toMatchObject({ verdict: "does not hold: on 0 of 1 targets" });
  });

  it("show how negation changes the target: a rise has a plus, and does not hold", () => {
    const about = (metric: string): Partial<Row> => ({ experiment: "negation", metric });
    const control = ["zero-shot", "aTLAS", "best single scalar"].map((method) => row(method, "", [0.5], about("control")));
    const target = [row("zero-shot", "", [0.25], about("target")), row("aTLAS", "", [0.26], about("target")), row("best single scalar", "", [0.27], about("target"))];
    const [besideZeroShot, besideScalar] = relationsOf([...control, ...target]);
    expect(besideZeroShot).toMatchObject({ verdict: "does not hold: on 0 of 1 targets", measured: ["MNIST: +1.0", "control beside MNIST: 100.0 % kept"] });
    expect(besideScalar).toMatchObject({ verdict: "holds", measured: ["MNIST: -1.0"] });
  });

  it("ask of ×K whether more parts gain more from more data", () => {
    const about = { experiment: "partition" };
    const rows = [row("aTLAS ×1", "0.01", [0.4], about), row("aTLAS ×1", "0.25", [0.5], about), row("aTLAS ×64", "0.25", [0.6], about), row("aTLAS ×64", "0.01", [0.4], about)];
    const [relation] = relationsOf(rows);
    expect(relation).toMatchObject({ verdict: "holds", measured: ["MNIST aTLAS ×64 beside aTLAS ×1: +10.0"] });
  });
});

describe("a page", () => {
  const page = "# Results\n\nBy hand.\n<!-- sweep: a -->\nold\n<!-- end of a -->\nBy hand, too.\n";

  it("gets its measured parts anew and keeps what people wrote", () => {
    const once = withParts(page, { a: "new" }, "page");
    expect(once).toBe("# Results\n\nBy hand.\n<!-- sweep: a -->\nnew\n<!-- end of a -->\nBy hand, too.\n");
    expect(withParts(once, { a: "new" }, "page")).toBe(once);
  });

  it("is refused when it has no place for a part", () => {
    expect(() => withParts(page, { b: "new" }, "page")).toThrow(InputError);
  });
});
