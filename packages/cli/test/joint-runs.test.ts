import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readComposition, readRun, readSplits } from "@atlas-tv/checkpoints";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { closeTo } from "../../core/test/fixture-files.js";
import { EXIT } from "../src/failure.js";
import { atlas, filesIn, interrupted, temporaryFolder, type Ended } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { expectRefusal } from "./refusals.js";
import { SPEC, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const model = (): string[] => ["--checkpoints", at("models"), "--model", "tiny"];

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  writePictures(at("Alpha"), ["blue", "green", "red"], { train: 20 });
  writePictures(at("Beta"), ["green", "red"], { train: 30 });
  writePictures(at("Gamma"), ["red", "blue"], { train: 25 });
  writePictures(at("few"), ["red", "blue"], { train: 4 });
});
afterAll(folder.remove);

let run = "";
let runs = 0;
beforeEach(() => {
  run = at("runs", String(++runs));
});

const learning = ["--epochs", "3", "--batch-size", "8", "--lr", "0.05"];
const negation = (...more: string[]): Promise<Ended> =>
  atlas("negation", ...model(), "--target", at("Beta"), "--control", at("Gamma"), ...learning, "--run", run, ...more);
const addition = (...more: string[]): Promise<Ended> =>
  atlas("addition", ...model(), "--targets", [at("Alpha"), at("Beta"), at("Gamma")].join(), ...learning, "--run", run, ...more);
const search = (goal: "negation" | "addition", ...more: string[]): Promise<Ended> => {
  const what = goal === "negation" ? ["--target", at("Beta"), "--control", at("Gamma")] : ["--targets", [at("Alpha"), at("Beta")].join()];
  return atlas("search", goal, ...model(), ...what, "--run", run, ...more);
};

const json = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));

describe("atlas negation", () => {
  test("learns the target's own vector and leaves the composition, splits, record and the reference's JSON", async () => {
    const { status, out } = await negation("--control-threshold", "0");
    expect(status).toBe(0);
    expect(out).toContain("Beta (target)");
    expect(filesIn(run)).toEqual(["composition.safetensors", "learned_negations.json", "run.json", "splits.json"]);
    const composition = await readComposition(join(run, "composition.safetensors"));
    expect(composition).toMatchObject({ composition: "blockwise", mode: "standard", shapes: { coef: [1, SPEC.blocks.length] } });
    expect(composition.taskVectors.map(({ name }) => name)).toEqual(["Beta"]);
    expect((await readSplits(join(run, "splits.json"))).map(({ name, validation }) => [name, validation.length])).toEqual([
      ["Beta", 6],
      ["Gamma", 5],
    ]);
    const record = await readRun(join(run, "run.json"));
    expect(record).toMatchObject({ command: "negation", options: { goal: "negation", tasks: ["Beta", "Gamma"], controlThreshold: 0 } });
    expect(Object.keys(record.final)).toEqual(["target", "control"]);
    const { Beta: entry } = json(join(run, "learned_negations.json")) as { Beta: { val: object[]; test: number; test_control: number } };
    expect(Object.keys(entry)).toEqual(["val", "test", "test_control"]);
    expect(entry.val).toHaveLength(3);
    expect(Object.keys(entry.val[0]!)).toEqual([
      "BetaVal:top1",
      "GammaVal:top1",
      "BetaVal:normalised_top1",
      "GammaVal:normalised_top1",
    ]);
    expect(entry.test).toBe(record.final["target"]!.raw);
  });

  test("keeps the epoch of the lowest target among those that keep the control", async () => {
    expect(await negation("--control-threshold", "0.6", "--epochs", "6")).toMatchObject({ status: 0 });
    const { epochs } = await readRun(join(run, "run.json"));
    const { Beta: entry } = json(join(run, "learned_negations.json")) as { Beta: { val: Record<string, number>[] } };
    const kept = epochs.findLast(({ selected }) => selected);
    const allowed = entry.val.filter((epoch) => epoch["GammaVal:normalised_top1"]! >= 0.6 && epoch["BetaVal:normalised_top1"]! < 1);
    expect(allowed.length).toBeGreaterThan(0);
    expect(kept!.metrics["target"]!.raw).toBe(Math.min(...allowed.map((epoch) => epoch["BetaVal:top1"]!)));
    const evaluated = await atlas("eval", ...model(), "--target", at("Beta"), "--composition", join(run, "composition.safetensors"), "--split", "validation", "--json");
    expect((JSON.parse(evaluated.out) as { accuracy: number }).accuracy).toBe(kept!.metrics["target"]!.raw);
  });

  test("that no epoch can serve says so, and its coefficients are zero", async () => {
    const { status, err } = await negation("--lr", "1e-9");
    expect(status).toBe(0);
    expect(err).toContain("note: no epoch lowered Beta");
    const { coefficients } = await readComposition(join(run, "composition.safetensors"));
    expect(new Set(coefficients["coef"])).toEqual(new Set([0]));
    const record = await readRun(join(run, "run.json"));
    expect(record.remarks?.join()).toContain("which is the pre-trained model");
    expect(record.final["target"]!.raw).toBe(record.zeroShot["target"]);
  });

  test("that is finished says its remarks again when it is read back", async () => {
    await negation("--lr", "1e-9", "--resume");
    expect((await readRun(join(run, "run.json"))).remarks?.join()).not.toContain("no unfinished run");
    const { status, err } = await negation("--lr", "1e-9", "--resume");
    expect(status).toBe(0);
    expect(err).toContain("was finished already");
    expect(err).toContain("note: no epoch lowered Beta");
    expect(err).not.toContain("no unfinished run");
  });

  test("with the same seed ends with the same bytes, with another seed it does not", async () => {
    const bytes = async (seed: string, where: string): Promise<Buffer> => {
      expect(await negation("--control-threshold", "0", "--seed", seed, "--run", at("runs", where))).toMatchObject({ status: 0 });
      return readFileSync(at("runs", where, "composition.safetensors"));
    };
    const first = await bytes("5", "negation-1");
    expect((await bytes("5", "negation-2")).equals(first)).toBe(true);
    expect((await bytes("6", "negation-3")).equals(first)).toBe(false);
  });

  test("that is finished is read back by --resume, by the same options only", async () => {
    const first = await negation("--json");
    const again = await negation("--json", "--resume");
    const results = ({ out }: Ended): unknown => (JSON.parse(out) as { runs: unknown }).runs;
    expect(results(again)).toEqual(results(first));
    expectRefusal(await negation("--resume", "--control-threshold", "0.5"), "other options");
  });

  test("leaves no tensor behind", async () => {
    await negation("--run", at("runs", "warm"));
    const before = tf.memory().numTensors;
    expect(await negation()).toMatchObject({ status: 0 });
    expect(tf.memory().numTensors).toBe(before);
  });

  test("adds to the reference's file of earlier targets", async () => {
    await negation("--save", at("saved"));
    const other = ["--target", at("Alpha"), "--run", `${run}-other`];
    expect(await negation("--save", at("saved"), ...other)).toMatchObject({ status: 0 });
    expect(Object.keys(json(at("saved", "tiny", "learned_negations.json")) as object)).toEqual(["Beta", "Alpha"]);
  });

  test("that is finished adds its results to the reference's file afterwards", async () => {
    await negation();
    expect(await negation("--resume", "--save", at("saved-later"))).toMatchObject({ status: 0 });
    expect(json(at("saved-later", "tiny", "learned_negations.json"))).toEqual(json(join(run, "learned_negations.json")));
    rmSync(join(run, "learned_negations.json"));
    expectRefusal(await negation("--resume", "--save", at("saved-never")), "learned_negations.json", "no such file");
  });

  test("refuses a broken file of the reference's before it learns", async () => {
    mkdirSync(at("saved-broken", "tiny"), { recursive: true });
    writeFileSync(at("saved-broken", "tiny", "learned_negations.json"), "[]");
    expectRefusal(await negation("--save", at("saved-broken")), "learned_negations.json", "a JSON object");
    expect(filesIn(run)).toEqual([]);
  });

  test.each([
    ["no control", ["--target", "Beta"], "no control data set"],
    ["the target as control", ["--target", "Beta", "--control", "Beta"], "Beta twice"],
    ["a control without validation images", ["--target", "Beta", "--control", "few"], "no validation images"],
    ["a target without a task vector", ["--target", "few-more", "--control", "Beta"], "few-more"],
  ])("refuses %s", async (_what, flags, said) => {
    writePictures(at("few-more"), ["red", "blue"]);
    const paths = flags.map((flag) => (flag.startsWith("--") ? flag : at(flag)));
    expectRefusal(await atlas("negation", ...model(), ...paths, "--run", run), said);
    expect(filesIn(run)).toEqual([]);
  });
});

describe("atlas addition", () => {
  test("learns the vectors of all its tasks and reports each, their mean and the normalised mean", async () => {
    const { status, out } = await addition();
    expect(status).toBe(0);
    expect(out).toContain("normalised mean");
    const composition = await readComposition(join(run, "composition.safetensors"));
    expect(composition.taskVectors.map(({ name }) => name)).toEqual(["Alpha", "Beta", "Gamma"]);
    const { final, zeroShot } = await readRun(join(run, "run.json"));
    const names = ["Alpha", "Beta", "Gamma", "mean", "normalised mean"];
    expect([Object.keys(final), Object.keys(zeroShot)]).toEqual([names, names]);
    expect(final["mean"]!.raw).toBeCloseTo((final["Alpha"]!.raw + final["Beta"]!.raw + final["Gamma"]!.raw) / 3, 12);
    const document = json(join(run, "learned_additions.json")) as { val: object[]; test: Record<string, number> };
    const keys = (suffix: string): string[] => ["top1", "normalised_top1"].flatMap((metric) =>
      ["Alpha", "Beta", "Gamma"].map((task) => `${task}${suffix}:${metric}`));
    expect(Object.keys(document.val[0]!)).toEqual([...keys("Val"), "avg:top1", "avg_normalised_top1"]);
    expect(Object.keys(document.test)).toEqual([...keys(""), "avg_top1", "avg_normalised_top1"]);
    expect(document.test["avg_normalised_top1"]).toBe(final["normalised mean"]!.raw);
  });

  test("of isotropic coefficients, regularised, over several seeds has a mean", async () => {
    const { status, out } = await addition("--no-blockwise-coef", "--lp-reg", "1", "--seed", "1,2", "--json");
    expect(status).toBe(0);
    const { runs: all, final } = JSON.parse(out) as { runs: { path: string }[]; final: { mean: { count: number } } };
    expect(all.map(({ path }) => path)).toEqual([join(run, "seed-1"), join(run, "seed-2")]);
    expect(final.mean.count).toBe(2);
  });

  test("goes once through the fewest validation images in an epoch, negation through the target's", async () => {
    const steps = async (): Promise<number> => (await readRun(join(run, "run.json"))).epochs[0]!.step;
    // Six of Alpha, six of Beta and five of Gamma, an image of each in a batch.
    expect(await addition("--batch-size", "3", "--epochs", "1")).toMatchObject({ status: 0 });
    expect(await steps()).toBe(5);
    run = `${run}-negation`;
    expect(await negation("--batch-size", "2", "--epochs", "1")).toMatchObject({ status: 0 });
    expect(await steps()).toBe(6);
  });

  test("refuses a single task, and one task twice", async () => {
    expectRefusal(await addition("--targets", at("Beta")), "at least two that differ");
    expectRefusal(await addition("--targets", [at("Beta"), at("Beta")].join()), "Beta twice");
    expect(filesIn(run)).toEqual([]);
  });
});

describe("atlas search", () => {
  test.each([
    ["negation", "negations.json", -1],
    ["addition", "additions.json", 1],
  ] as const)("finds the best of 21 coefficients for %s", async (goal, file, sign) => {
    const { status } = await search(goal);
    expect(status).toBe(0);
    expect(filesIn(run)).toEqual(["composition.safetensors", "run.json", "splits.json", file].sort());
    const { coefficients, composition } = await readComposition(join(run, "composition.safetensors"));
    expect(composition).toBe("isotropic");
    const { epochs } = await readRun(join(run, "run.json"));
    const kept = epochs.findLastIndex(({ selected }) => selected);
    expect(epochs).toHaveLength(21);
    expect(new Set([...coefficients["coef"]!].map((value) => value + 0))).toEqual(new Set([Math.fround((sign * kept) / 20) + 0]));
    const document = json(join(run, file)) as Record<string, { val?: object }>;
    const points = (goal === "negation" ? document["Beta"]!.val : document["val"]) as Record<string, Record<string, number>>;
    // As Python writes numpy.linspace(0, 1, 21), by which the reference's scripts look points up.
    expect(Object.keys(points)).toEqual([
      "0.0", "0.05", "0.1", "0.15000000000000002", "0.2", "0.25", "0.30000000000000004", "0.35000000000000003", "0.4", "0.45", "0.5",
      "0.55", "0.6000000000000001", "0.65", "0.7000000000000001", "0.75", "0.8", "0.8500000000000001", "0.9", "0.9500000000000001", "1.0",
    ]);
    const names = goal === "negation" ? ["Beta"] : ["Alpha", "Beta"];
    const measured = goal === "negation" ? ["Beta", "Gamma"] : names;
    for (const point of Object.values(points)) {
      expect(Object.keys(point).sort()).toEqual([
        ...measured.map((name) => `${name}Val:top1`), ...names.map((name) => `${name}Val:normalized_top1`), "avg_normalized_top1", "avg_top1",
      ].sort());
      closeTo(point["avg_top1"]!, names.reduce((sum, name) => sum + point[`${name}Val:top1`]! / names.length, 0), 1e-12);
      closeTo(point["avg_normalized_top1"]!, names.reduce((sum, name) => sum + point[`${name}Val:normalized_top1`]! / names.length, 0), 1e-12);
    }
  });

  test("divides the target's accuracies by those of its fine-tuned model, for negation as for addition", async () => {
    const finetuned = async (goal: "negation" | "addition"): Promise<number> => {
      const place = `${run}-${goal}`;
      expect(await search(goal, "--points", "2", "--run", place)).toMatchObject({ status: 0 });
      const document = json(join(place, `${goal}s.json`)) as Record<string, { val: Record<string, Record<string, number>> }> & { val: Record<string, Record<string, number>> };
      const start = (goal === "negation" ? document["Beta"]!.val : document.val)["0.0"]!;
      return start["BetaVal:top1"]! / start["BetaVal:normalized_top1"]!;
    };
    const accuracy = await finetuned("addition");
    expect(accuracy).toBeGreaterThan(0);
    closeTo(await finetuned("negation"), accuracy, 1e-12);
  });

  test("that is finished is read back", async () => {
    const first = await search("addition", "--points", "3", "--json");
    const again = await search("addition", "--points", "3", "--json", "--resume");
    const results = ({ out }: Ended): unknown => (JSON.parse(out) as { runs: unknown }).runs;
    expect(results(again)).toEqual(results(first));
  });
});

describe("an interrupted run", () => {
  const pair = (): string[] => ["--target", at("Beta"), "--control", at("Gamma"), "--control-threshold", "0"];
  const several = (): string[] => ["--targets", [at("Alpha"), at("Beta")].join()];

  test.each([
    ["negation", () => ["negation", ...pair(), ...learning]],
    ["addition", () => ["addition", ...several(), ...learning]],
    ["search negation", () => ["search", "negation", ...pair()]],
    ["search addition", () => ["search", "addition", ...several()]],
  ])("of %s ends with the same bytes after --resume", async (_name, command) => {
    const args = [...command(), ...model()];
    expect(await atlas(...args, "--run", run)).toMatchObject({ status: 0 });
    const other = `${run}-interrupted`;
    expect(await interrupted(...args, "--run", other)).not.toBe(EXIT.done);
    expect(filesIn(other)).toEqual(["state.safetensors"]);
    expect(await atlas(...args, "--run", other, "--resume")).toMatchObject({ status: 0 });
    expect(filesIn(other)).toEqual(filesIn(run));
    const [whole, resumed] = [run, other].map((path) => readFileSync(join(path, "composition.safetensors")));
    expect(resumed!.equals(whole!)).toBe(true);
    expect((await readRun(join(other, "run.json"))).epochs).toEqual((await readRun(join(run, "run.json"))).epochs);
  });
});
