import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readAdapter, readComposition, readRun } from "@atlas-tv/checkpoints";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { atlas as runAtlas, filesIn, temporaryFolder, type Ended } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { SPEC, TASKS, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const RUN = ["composition.safetensors", "learned_composition.json", "run.json"];

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  writePictures(at("swatches"), ["blue", "green", "red"], { train: 20, test: 20 });
});
afterAll(folder.remove);

const atlas = (command: string, ...args: string[]): Promise<Ended> =>
  runAtlas(command, "--model", at("models", "tiny"), "--target", at("swatches"), ...args);

const SHORT = ["--subsample", "2", "--epochs", "2", "--batch-size", "8", "--quiet"];

async function accuracy(...args: string[]): Promise<number> {
  const { status, out, err } = await atlas("eval", "--json", ...args);
  expect({ status, err }).toEqual({ status: 0, err: "" });
  return (JSON.parse(out) as { accuracy: number }).accuracy;
}

async function finalOf(run: string): Promise<Record<string, number>> {
  const { final } = await readRun(at(run, "run.json"));
  return Object.fromEntries(Object.entries(final).map(([name, { raw }]) => [name, raw]));
}

function layoutOf(run: string): Record<string, number> {
  return JSON.parse(readFileSync(at(run, "learned_composition.json"), "utf8")) as Record<string, number>;
}

describe("an adapter, found by its name", () => {
  test.each([
    ["tip", "joint"],
    ["tip", "sequential"],
    ["lpp", "sequential"],
  ])("%s, %s, is measured, saved, and gives the same accuracy again", async (adapter, mode) => {
    const run = `${adapter}-${mode}`;
    const flags = ["--adapter", adapter, "--adapter-mode", mode, "--save", at("saved")];
    expect(await atlas("few-shots", ...SHORT, ...flags, "--run", at(run))).toMatchObject({ status: 0 });
    expect(filesIn(at(run))).toEqual(["adapter.safetensors", ...RUN, "splits.json"]);
    const final = await finalOf(run);
    const files = ["--composition", at(run, "composition.safetensors")];
    expect(await accuracy(...files, "--adapter", at(run, "adapter.safetensors"))).toBe(final[`test, with ${adapter}`]);
    expect(await accuracy(...files)).toBe(final["test"]);
    expect(layoutOf(run)).toMatchObject({ swatches: final["test"], [`swatches_${adapter}`]: final[`test, with ${adapter}`] });
    const saved = JSON.parse(readFileSync(at("saved", "tiny", "learned_composition.json"), "utf8")) as unknown;
    expect(saved).toMatchObject(layoutOf(run));
    expect((await readAdapter(at(run, "adapter.safetensors"))).adapter).toBe(adapter);
  });

  test.each(["tip", "lpp"])("%s serves as a baseline on features of the pre-trained model", async (adapter) => {
    const run = `${adapter}-baseline`;
    expect(await atlas("few-shots", ...SHORT, "--adapter", adapter, "--no-compose", "--run", at(run))).toMatchObject({ status: 0 });
    expect(filesIn(at(run))).toEqual(["adapter.safetensors", "learned_composition.json", "run.json", "splits.json"]);
    const final = await finalOf(run);
    expect(Object.keys(final)).toEqual([`test, with ${adapter}`]);
    expect(await accuracy("--adapter", at(run, "adapter.safetensors"))).toBe(final[`test, with ${adapter}`]);
    expect(layoutOf(run)).toEqual({ [`swatches_${adapter}`]: final[`test, with ${adapter}`] });
  });

  test("says which flags come to nothing where no coefficients are learned", async () => {
    const flags = ["--adapter", "tip", "--adapter-options", "{ epochs: 1 }", "--no-compose", "--epochs", "3", "--lp-reg", "1", "--run", at("idle")];
    const { status, err } = await atlas("few-shots", "--subsample", "2", ...flags);
    expect(status, err).toBe(0);
    expect(err).toContain("note: --no-compose: no effect of --epochs, --lp-reg");
  });

  test("does not classify features that it was not fitted to", async () => {
    const { status, err } = await atlas("eval", "--adapter", at("tip-joint", "adapter.safetensors"));
    expect(status).toBe(2);
    expect(err).toContain("features");
    expect(err).toContain("those of its run folder");
  });

  test.each([
    [["--adapter-mode", "joint", "--adapter", "lpp"], "lpp, which has no such mode"],
    [["--adapter-mode", "joint", "--adapter", "tip", "--no-compose"], "--no-compose beside it"],
    [["--adapter-mode", "joint"], "a mode without an adapter"],
    [["--adapter", "tip", "--no-compose", "--budget", "1"], "no task vector is combined"],
    [["--no-compose"], "nothing left to learn"],
    [["--adapter", "tip", "--label-smoothing", "0.1"], "learned jointly"],
    [["--adapter", "tip", "--adapter-options", "{ beta: 3 }"], "--adapter-options of tip"],
  ])("is refused with %j", async (flags, message) => {
    const { status, out, err } = await atlas("few-shots", ...SHORT, ...flags, "--run", at("refused"));
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toContain(message);
    expect(filesIn(at("refused"))).toEqual([]);
  });
});

describe("partitions", () => {
  test("are saved by their seed, and applied again by eval and merge", async () => {
    const run = "partition";
    expect(await atlas("few-shots", ...SHORT, "--partition", "3", "--seed", "4", "--run", at(run))).toMatchObject({ status: 0 });
    const file = at(run, "composition.safetensors");
    const saved = await readComposition(file);
    expect(saved).toMatchObject({ composition: "partition", maskSeed: 4, compositionOptions: { parts: 3, masks: "block" } });
    expect(saved.shapes).toEqual({ coef: [TASKS.length, SPEC.blocks.length, 3] });
    const { test: learned } = await finalOf(run);
    expect(await accuracy("--composition", file)).toBe(learned);

    mkdirSync(at("merged"));
    cpSync(at("models", "tiny"), at("merged"), { recursive: true });
    const out = ["--composition", file, "--out", at("merged", "zeroshot.safetensors")];
    expect(await runAtlas("merge", "--model", at("models", "tiny"), ...out)).toMatchObject({ status: 0 });
    const { out: printed } = await runAtlas("eval", "--model", at("merged"), "--target", at("swatches"), "--json");
    expect((JSON.parse(printed) as { accuracy: number }).accuracy).toBe(learned);
  });

  test("of one part learn what blockwise learns, to the bit", async () => {
    const learn = async (run: string, ...flags: string[]): Promise<Float32Array> => {
      expect(await atlas("few-shots", ...SHORT, ...flags, "--run", at(run))).toMatchObject({ status: 0 });
      return (await readComposition(at(run, "composition.safetensors"))).coefficients["coef"]!;
    };
    expect(await learn("one-part", "--partition", "1")).toEqual(await learn("blockwise"));
  });

  test("work with a share of the data, and with the released masks", async () => {
    const flags = [...SHORT, "--subsample", "0.25", "--partition", "5", "--preset", "released"];
    expect(await atlas("few-shots", ...flags, "--run", at("released"))).toMatchObject({ status: 0 });
    const file = at("released", "composition.safetensors");
    const { compositionOptions, blocks } = await readComposition(file);
    expect(compositionOptions).toEqual({ parts: 5, masks: "released" });
    // Columns for the text tower's blocks, as in the reference's files.
    expect(blocks.length).toBeGreaterThan(SPEC.blocks.length);
    expect(await accuracy("--composition", file)).toBe((await finalOf("released"))["test"]);
  });

  test("are refused beside isotropic coefficients", async () => {
    const { status, err } = await atlas("few-shots", ...SHORT, "--partition", "3", "--no-blockwise-coef", "--run", at("both"));
    expect(status).toBe(2);
    expect(err).toContain("parts are parts of blocks");
  });
});

describe("atlas ufm", () => {
  const ufm = (...flags: string[]): Promise<Ended> => atlas("ufm", "--epochs", "2", "--batch-size", "16", "--quiet", ...flags);

  test("adapts without labels, and says which labels chose an epoch", async () => {
    expect(await ufm("--run", at("ufm"), "--seed", "1,2")).toMatchObject({ status: 0 });
    expect(filesIn(at("ufm", "seed-1"))).toEqual(RUN);
    const record = await readRun(at("ufm", "seed-1", "run.json"));
    expect(record).toMatchObject({ command: "ufm", options: { objective: "ufm", target: "swatches" } });
    expect(record.notes).toContain("labels used for learning: 0");
    expect(record.epochs).toHaveLength(2);
    const { test: last } = await finalOf(join("ufm", "seed-1"));
    expect(await accuracy("--composition", at("ufm", "seed-1", "composition.safetensors"))).toBe(last);
    expect(layoutOf(join("ufm", "seed-1"))).toMatchObject({ swatches: last });
  });

  test("says when it trusts no image, and learns from the others", async () => {
    const { status, err } = await ufm("--images", "2", "--objective-options", "{ omegaStart: 0, omegaEnd: 0 }", "--run", at("few"));
    expect(status).toBe(0);
    expect(err).toContain("no trusted image among 2");
    const { coefficients } = await readComposition(at("few", "composition.safetensors"));
    expect(coefficients["coef"]!.some((value) => value !== 0)).toBe(true);
  });

  test("says when no image ever counted, so that the result is the pre-trained model", async () => {
    const { status, err } = await ufm("--images", "2", "--objective-options", "{ omegaStart: 1, omegaEnd: 1 }", "--run", at("none"));
    expect(status).toBe(0);
    expect(err).toContain("nothing was learned");
  });

  test("minimises entropy as well, and takes partitions", async () => {
    expect(await ufm("--objective", "entropy", "--partition", "2", "--run", at("entropy"))).toMatchObject({ status: 0 });
    expect((await readComposition(at("entropy", "composition.safetensors"))).composition).toBe("partition");
  });

  test("records the paper's settings for its preset, and what flags say instead", async () => {
    expect(await ufm("--preset", "paper", "--ufm-exponent", "3", "--run", at("paper"))).toMatchObject({ status: 0 });
    expect((await readRun(at("paper", "run.json"))).options).toMatchObject({
      objectiveOptions: { exponent: 3, confidence: "sharpened", omegaStart: 0.9, omegaEnd: 1 },
    });
  });

  test.each([
    [["--objective", "cross-entropy"], 'no unsupervised "cross-entropy" is installed'],
    [["--objective", "entropy", "--ufm-exponent", "2"], "with the objective ufm alone"],
    [["--objective-options", "{ labels: true }"], "--objective-options of ufm"],
    [["--objective-options", "{ exponent: 2 }", "--ufm-exponent", "3"], "they set the same option"],
  ])("refuses %j", async (flags, message) => {
    const { status, err } = await ufm(...flags, "--run", at("refused"));
    expect(status).toBe(2);
    expect(err).toContain(message);
    expect(filesIn(at("refused"))).toEqual([]);
  });

  test("few-shots refuses an objective that learns without labels", async () => {
    const { status, err } = await atlas("few-shots", ...SHORT, "--objective", "ufm", "--run", at("refused"));
    expect(status).toBe(2);
    expect(err).toContain("objective");
  });
});
