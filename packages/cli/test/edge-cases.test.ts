import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readComposition, readRun } from "@atlas-tv/checkpoints";
import { sizeOf } from "@atlas-tv/core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { atlas, filesIn, temporaryFolder, type Ended } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { expectRefusal } from "./refusals.js";
import { SPEC, TASKS, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const CLASSES = ["blue", "green", "red"];

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  writePictures(at("swatches"), CLASSES, { train: 20 });
  for (const name of ["Beta", "Gamma"]) writePictures(at(name), ["red", "green"], { train: 20 });
  writePictures(at("single"), ["red"]);
  writePictures(at("few"), ["red", "green"], { train: 4 });
  // Of "green" there are two images and of "blue" none to learn from; both are tested.
  writePictures(at("uneven"), CLASSES, { train: 20 });
  for (let i = 2; i < 20; i++) rmSync(at("uneven", "train", "green", `${i}.png`));
  rmSync(at("uneven", "train", "blue"), { recursive: true });
  mkdirSync(at("uneven", "train", "blue"));
});
afterAll(folder.remove);

let run = "";
let runs = 0;
beforeEach(() => {
  run = at("runs", String(++runs));
});

const SHORT = ["--epochs", "2", "--batch-size", "8", "--lr", "0.05"];
const tiny = (command: string, ...args: string[]): Promise<Ended> =>
  atlas(...command.split(" "), "--checkpoints", at("models"), "--model", "tiny", ...args);
const learn = (command: string, ...args: string[]): Promise<Ended> => tiny(command, ...SHORT, "--run", run, ...args);

const coefficientsOf = async (path = run): Promise<Float32Array> => (await readComposition(join(path, "composition.safetensors"))).coefficients["coef"]!;

describe("a data set of a single class", () => {
  test.each([
    ["few-shots", (single: string) => ["--target", single, "--run", run]],
    ["ufm", (single: string) => ["--target", single, "--run", run]],
    ["negation", (single: string) => ["--target", single, "--control", at("Gamma"), "--run", run]],
    ["negation", (single: string) => ["--target", at("Beta"), "--control", single, "--run", run]],
    ["addition", (single: string) => ["--targets", `${at("Beta")},${single}`, "--run", run]],
    ["search negation", (single: string) => ["--target", single, "--control", at("Gamma"), "--run", run]],
    ["search addition", (single: string) => ["--targets", `${at("Beta")},${single}`, "--run", run]],
    ["finetune", (single: string) => ["--target", single, "--save", run]],
    ["eval", (single: string) => ["--target", single]],
  ])("is refused by %s", async (command, flags) => {
    expectRefusal(await tiny(command, ...flags(at("single"))), 'a single class, "red"', "at least two classes");
    expect(filesIn(run)).toEqual([]);
  });
});

describe("a data set without validation images", () => {
  test.each([
    ["few-shots", ["--subsample", "2"]],
    ["ufm", []],
  ])("leaves %s the last epoch, which is said, and no selected one", async (command, more) => {
    const { status, err } = await learn(command, "--target", at("few"), ...more);
    expect(status).toBe(0);
    expect(err).toContain("note: no validation images: the last epoch's coefficients are kept, and none is selected");
    const { final, remarks, epochs } = await readRun(join(run, "run.json"));
    expect(Object.keys(final)).toEqual(["test"]);
    expect(remarks?.join()).toContain("no validation images");
    expect(epochs.map(({ selected }) => selected)).toEqual([false, false]);
    expect((await coefficientsOf()).some((value) => value !== 0)).toBe(true);
  });

  test("leaves finetune the last epoch, which is said", async () => {
    const { status, err } = await tiny("finetune", ...SHORT, "--target", at("few"), "--save", run);
    expect(status).toBe(0);
    expect(err).toContain("note: no validation images: no accuracy is shown on the way; the last epoch is kept in any case");
  });

  test.each([
    ["negation", () => ["--target", at("few"), "--control", at("Gamma")]],
    ["negation", () => ["--target", at("Beta"), "--control", at("few")]],
    ["addition", () => ["--targets", [at("Beta"), at("few")].join()]],
    ["search negation", () => ["--target", at("Beta"), "--control", at("few")]],
    ["search addition", () => ["--targets", [at("Beta"), at("few")].join()]],
  ])("is refused by %s, which learns from them", async (command, flags) => {
    expectRefusal(await tiny(command, ...flags(), "--run", run), 'data set "few"', "no validation images", "at least 10 training images");
    expect(filesIn(run)).toEqual([]);
  });
});

describe("a missing control set", () => {
  test.each(["negation", "search negation"])("is refused by %s", async (command) => {
    expectRefusal(await tiny(command, "--target", at("Beta"), "--run", run), "--control", "no control data set", "for example --control");
    expectRefusal(await tiny(command, "--target", at("Beta"), "--control", at("nowhere"), "--run", run), "nowhere");
    expect(filesIn(run)).toEqual([]);
  });
});

describe("a class with fewer images than shots", () => {
  test("is refused with the counts, and so is a class without any", async () => {
    expectRefusal(await learn("few-shots", "--target", at("uneven"), "--subsample", "4"), '0 images of class "blue", and 1 more classes have fewer than 4');
    expect(filesIn(run)).toEqual([]);
  });

  test.each([
    ["alone", []],
    ["in partitions", ["--partition", "2"]],
    ["on a budget", ["--budget", "1"]],
    ["with Tip-Adapter learned jointly", ["--adapter", "tip"]],
    ["with Tip-Adapter after it", ["--adapter", "tip", "--adapter-mode", "sequential"]],
    ["with LP++", ["--adapter", "lpp"]],
    ["with the linear probe", ["--adapter", "linear"]],
  ])("gives what it has with --allow-short: %s", async (_what, more) => {
    expect(await learn("few-shots", "--target", at("uneven"), "--subsample", "4", "--allow-short", ...more)).toMatchObject({ status: 0 });
    const { final, notes, remarks } = await readRun(join(run, "run.json"));
    expect(remarks!.join("\n")).toMatch(/^classes with fewer images than shots, with what they have: "blue" 0, "green" [12]$/m);
    expect(notes!.map((note) => /labels used for learning: (\d)/.exec(note)?.[1]).find((count) => count !== undefined)).toMatch(/^[56]$/);
    for (const { raw } of Object.values(final)) expect(raw).toBeGreaterThanOrEqual(0);
    expect((await coefficientsOf()).some((value) => value !== 0)).toBe(true);
  });
});

test("many classes with fewer images than shots are named in run.json, five of them on the terminal, once for all seeds", async () => {
  const names = ["a", "b", "c", "d", "e", "f"].map((letter) => `red ${letter}`);
  writePictures(at("sparse"), names, { train: 4 });
  const flags = ["--target", at("sparse"), "--subsample", "8", "--allow-short", "--seed", "1,2"];
  const { status, err } = await learn("few-shots", ...flags);
  expect(status).toBe(0);
  const said = err.split("\n").filter((line) => line.includes("fewer images than shots"));
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(/: "red a" \d, "red b" \d, "red c" \d, "red d" \d, "red e" \d, and 1 more in run\.json$/);
  for (const seed of ["seed-1", "seed-2"]) {
    const { notes } = await readRun(join(run, seed, "run.json"));
    expect(notes!.some((note) => names.every((name) => new RegExp(`"${name}" [0-4]\\b`).test(note)))).toBe(true);
  }
});

test.each([
  ["few-shots", ["--subsample", "2"]],
  ["ufm", []],
])("%s with more parts than a block has elements leaves the unused ones at 0", async (command, more) => {
  const parts = 300;
  expect(await learn(command, "--target", at("swatches"), "--partition", String(parts), ...more)).toMatchObject({ status: 0 });
  const coef = await coefficientsOf();
  const [n, m] = [TASKS.length, SPEC.blocks.length];
  expect(coef.length).toBe(n * m * parts);
  const used = SPEC.blocks.map((_, j) => Math.max(...TASKS.map((_name, i) => coef.subarray((i * m + j) * parts, (i * m + j + 1) * parts).filter((value) => value !== 0).length)));
  SPEC.blocks.forEach(({ shape }, j) => { expect(used[j], SPEC.blocks[j]!.name).toBeLessThanOrEqual(Math.min(parts, sizeOf(shape))); });
  expect(used.some((count) => count > 0 && count < parts)).toBe(true);
});

describe("a result that is the pre-trained model", () => {
  test("is told by addition when no epoch is better", async () => {
    const { status, err } = await learn("addition", "--targets", [at("Beta"), at("Gamma")].join(), "--lr", "1e-9");
    expect(status).toBe(0);
    expect(err).toContain("note: no epoch raised the mean normalised accuracy above zero-shot: the coefficients stay 0, which is the pre-trained model");
    expect(new Set(await coefficientsOf())).toEqual(new Set([0]));
  });

  test.each([
    ["negation", () => ["--target", at("Beta"), "--control", at("Gamma")]],
    ["addition", () => ["--targets", [at("Beta"), at("Gamma")].join()]],
  ])("is told by search %s when no coefficient is better", async (goal, flags) => {
    // A single other point, θ0 ∓ Σ τ, which the tiny model's random vectors make worse or leave as it is.
    const { status, err } = await tiny(`search ${goal}`, ...flags(), "--points", "2", "--run", run);
    expect(status).toBe(0);
    const isZero = (await coefficientsOf()).every((value) => value === 0);
    expect(err.includes("the result is the pre-trained model") || err.includes("which is the pre-trained model")).toBe(isZero);
  });
});
