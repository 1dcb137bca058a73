import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeRun, type RunRecord } from "@atlas-tv/checkpoints";
import { EXIT, type Terminal } from "@atlas-tv/cli";
import { InputError } from "@atlas-tv/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cellsOf, type Experiment } from "../src/cell.js";
import { EXPERIMENTS, QUICK, selected } from "../src/experiments.js";
import { readFinished, tableOf } from "../src/rows.js";
import { runSweep, type SweepOptions } from "../src/sweep.js";

const experiment: Experiment = {
  id: "few-shots",
  title: "Few shots",
  command: ["few-shots"],
  tasks: ["A", "B"],
  settings: ["1", "4"],
  settingTitle: "k",
  args: (task, shots) => ["--target", task, "--subsample", shots],
  methods: [{ name: "aTLAS", args: [] }, { name: "scalar", args: [], command: ["search"], seeded: false }],
  metrics: { test: "accuracy" },
};

function record(accuracy: number, options: RunRecord["options"] = {}): RunRecord {
  return {
    command: "few-shots", options, seed: 1, backend: { id: "cpu", device: "test" }, versions: {},
    hashes: { base: "0".repeat(64), taskVectors: {}, splits: null },
    zeroShot: { test: 0.5 }, epochs: [], final: { test: { raw: accuracy, clamped: accuracy } }, seconds: 1, peakMemoryBytes: null,
  };
}

let folder: string;
let interruption: AbortController;
let notes: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "atlas-sweep-"));
  interruption = new AbortController();
  notes = [];
});
afterEach(() => { rmSync(folder, { recursive: true, force: true }); });

type Run = NonNullable<SweepOptions["run"]>;
const after = (args: readonly string[], flag: string): string => args[args.indexOf(flag) + 1]!;

/** Runs that finish at once, and the commands that were called. */
function runner(answer: (args: readonly string[]) => number = () => EXIT.done): { run: Run; calls: (readonly string[])[] } {
  const calls: (readonly string[])[] = [];
  const run: Run = async (args) => {
    calls.push(args);
    const status = answer(args);
    if (status === EXIT.done) await writeRun(join(after(args, "--run"), "run.json"), record(0.6));
    return status;
  };
  return { run, calls };
}

function options(run: Run, args: readonly string[] = []): SweepOptions {
  const terminal: Terminal = { out: () => {}, note: (text) => { notes.push(text); }, signal: interruption.signal };
  return { folder, args, terminal, run };
}

describe("the cells of a sweep", () => {
  it("are tasks × settings × methods × seeds, the first seed first, with one run for a method that draws nothing", () => {
    const cells = cellsOf([experiment], [1, 2, 3]);
    expect(cells).toHaveLength(2 * 2 * (3 + 1));
    expect(cells.slice(0, 8).every(({ seed }) => seed === 1 || seed === null)).toBe(true);
    expect(cells[0]!.args).toEqual(["few-shots", "--target", "A", "--subsample", "1", "--seed", "1"]);
    expect(cells[1]!.args).toEqual(["search", "--target", "A", "--subsample", "1"]);
  });

  it.each([["planned", EXPERIMENTS], ["quick", QUICK]])("share a folder only with cells of the same command: %s", (_, plan) => {
    const cells = cellsOf(plan, [1, 2, 3]);
    const [paths, commands, both] = [cells.map(({ path }) => path), cells.map(({ args }) => args.join(" ")), cells.map(({ path, args }) => `${path} ${args.join(" ")}`)];
    expect(new Set(paths).size).toBe(new Set(both).size);
    expect(new Set(commands).size).toBe(new Set(both).size);
    for (const path of paths) expect(path).toMatch(/^[A-Za-z0-9./-]+$/);
  });

  it("are those that were selected", () => {
    const [fewShots, addition] = selected(EXPERIMENTS, { experiments: ["few-shots", "addition"], tasks: ["Greek", "Flags"], shots: ["2"], methods: ["aTLAS"] });
    expect(fewShots).toMatchObject({ tasks: ["Greek", "Flags"], settings: ["2"] });
    expect(cellsOf([fewShots!], [1])).toHaveLength(2);
    expect(cellsOf([addition!], [1])[0]!.args).toContain("Greek,Flags");
    expect(() => selected(EXPERIMENTS, { methods: ["magic"] })).toThrow(/--methods[^]*"magic"[^]*aTLAS/);
    expect(() => selected(EXPERIMENTS, { experiments: ["magic"] })).toThrow(InputError);
  });
});

describe("a sweep", () => {
  it("computes every cell once, and none that is finished", async () => {
    const cells = cellsOf([experiment], [1]);
    const first = runner();
    expect(await runSweep(cells, options(first.run, ["--threads", "1"]))).toEqual({ kept: 0, computed: 8, failed: [], isInterrupted: false });
    expect(first.calls.every((args) => args.includes("--threads") && !args.includes("--resume"))).toBe(true);
    const second = runner();
    expect(await runSweep(cells, options(second.run, ["--threads", "1"]))).toMatchObject({ kept: 8, computed: 0 });
    expect(second.calls).toEqual([]);
  });

  it("computes a run once that measures two methods", async () => {
    const twice = { ...experiment, methods: [...experiment.methods, { name: "aTLAS, too", args: [], measuredBy: "aTLAS" }] };
    const { run, calls } = runner();
    expect(await runSweep(cellsOf([twice], [1]), options(run))).toMatchObject({ computed: 8, isInterrupted: false });
    expect(calls).toHaveLength(8);
  });

  it("goes on with the cell that was under way when it was stopped, and with those after it", async () => {
    const cells = cellsOf([experiment], [1]);
    const stopped = runner((args) => {
      if (after(args, "--target") === "A") return EXIT.done;
      interruption.abort();
      return EXIT.interrupted;
    });
    expect(await runSweep(cells, options(stopped.run))).toMatchObject({ kept: 0, computed: 4, isInterrupted: true });
    interruption = new AbortController();
    const resumed = runner();
    expect(await runSweep(cells, options(resumed.run))).toMatchObject({ kept: 4, computed: 4, isInterrupted: false });
    expect(resumed.calls.map((args) => args.includes("--resume"))).toEqual([true, false, false, false]);
    expect(resumed.calls.every((args) => after(args, "--target") === "B")).toBe(true);
  });

  it("reports a cell that fails, and goes on with the others", async () => {
    const cells = cellsOf([experiment], [1]);
    const failing = runner((args) => (args[0] === "search" && after(args, "--target") === "A" ? EXIT.failure : EXIT.done));
    const outcome = await runSweep(cells, options(failing.run));
    expect(outcome).toMatchObject({ computed: 6, isInterrupted: false });
    expect(outcome.failed.map(({ method, task }) => `${method.name} ${task}`)).toEqual(["scalar A", "scalar A"]);
    expect(notes.filter((note) => note.includes("failed with status 1: atlas search --target A"))).toHaveLength(2);
  });

  it("refuses folders that hold runs of another command", async () => {
    const cells = cellsOf([experiment], [1]);
    await runSweep(cells, options(runner().run));
    await expect(runSweep(cells, options(runner().run, ["--threads", "2"]))).rejects.toThrow(/a run of atlas few-shots[^]*--threads 2/);
  });
});

describe("the rows of the table", () => {
  const cells = cellsOf([{ ...experiment, tasks: ["A"], settings: ["1"] }], [1, 2, 3]);

  async function finish(index: number, run: RunRecord): Promise<void> {
    const at = join(folder, cells[index]!.path);
    mkdirSync(at, { recursive: true });
    await writeRun(join(at, "run.json"), run);
  }

  it("have the accuracies of all seeds, and the pre-trained model once", async () => {
    for (const [index, accuracy] of [0.6, 0.55, 0.62, 0.64].entries()) await finish(index, record(accuracy));
    const rows = tableOf(await readFinished(cells, folder));
    expect(rows.map(({ method, values }) => [method, ...values])).toEqual([["zero-shot", 0.5], ["aTLAS", 0.6, 0.62, 0.64], ["scalar", 0.55]]);
  });

  it("leave out what is not finished", async () => {
    await finish(0, record(0.6));
    expect((await readFinished(cells, folder)).map(({ cell }) => cell.path)).toEqual([cells[0]!.path]);
    expect(readFileSync(join(folder, cells[0]!.path, "run.json"), "utf8")).toContain("0.6");
  });

  it("never mix runs with different options", async () => {
    await finish(0, record(0.6, { lr: 0.1 }));
    await finish(2, record(0.6, { lr: 0.2 }));
    const finished = await readFinished(cells, folder);
    expect(() => tableOf(finished)).toThrow(/other options or weights/);
  });
});
