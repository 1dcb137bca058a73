import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspectFile, readComposition, readRun, readSplits } from "@atlas-tv/checkpoints";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { atlas, filesIn, temporaryFolder } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { ADAPTER, OBJECTIVE } from "./plugin-sources.js";
import { SPEC, TASKS, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  writePictures(at("swatches"), ["blue", "green", "red"]);
  writePictures(at("shapes"), ["green round", "red square", "blue_zebra_square"]);
});
afterAll(folder.remove);

let run = "";
let runs = 0;
beforeEach(() => {
  run = at("runs", String(++runs));
});

const fewShots = (...more: string[]): ReturnType<typeof atlas> =>
  atlas(
    "few-shots",
    "--checkpoints",
    at("models"),
    "--model",
    "tiny",
    "--target",
    at("swatches"),
    "--subsample",
    "2",
    "--epochs",
    "2",
    "--batch-size",
    "8",
    "--run",
    run,
    ...more,
  );

describe("a run", () => {
  test("leaves the composition, its splits and its record, and nothing else", async () => {
    const { status, out, err } = await fewShots();
    expect(err.split("\n").filter((line) => line !== "")).toHaveLength(2);
    expect(status).toBe(0);
    expect(filesIn(run)).toEqual(["composition.safetensors", "learned_composition.json", "run.json", "splits.json"]);
    expect(out).toContain(run);

    const composition = await readComposition(join(run, "composition.safetensors"));
    expect(composition.taskVectors.map(({ name }) => name)).toEqual(TASKS);
    expect(composition.shapes).toEqual({ coef: [TASKS.length, SPEC.blocks.length] });
    expect(composition.coefficients["coef"]!.some((value) => value !== 0)).toBe(true);

    const record = await readRun(join(run, "run.json"));
    expect(record).toMatchObject({
      command: "few-shots",
      seed: 1,
      backend: { id: "cpu" },
      options: { target: "swatches", subsample: "2", taskVectors: TASKS },
    });
    // Six images in batches of eight: repeated 14 times, so that an epoch has at least ten batches.
    expect(record.epochs.map(({ epoch, step }) => [epoch, step])).toEqual([[1, 11], [2, 22]]);
    expect(record.notes).toContain("labels used for learning: 6");
    const [split] = await readSplits(join(run, "splits.json"));
    expect(split!.shots[0]!.indices).toHaveLength(6);
    expect(split!.train.length + split!.validation.length).toBe(split!.size);
  });

  test("with the same seed ends with the same bytes, with another seed it does not", async () => {
    const bytes = async (seed: string, where: string): Promise<Buffer> => {
      expect(await fewShots("--seed", seed, "--run", at("runs", where))).toMatchObject({ status: 0 });
      return readFileSync(at("runs", where, "composition.safetensors"));
    };
    const first = await bytes("5", "same-1");
    expect((await bytes("5", "same-2")).equals(first)).toBe(true);
    expect((await bytes("6", "other")).equals(first)).toBe(false);
  });

  test("with several seeds has a folder for each, and a mean with its standard error", async () => {
    const { status, out } = await fewShots("--seed", "1,2", "--json");
    expect(status).toBe(0);
    const document = JSON.parse(out) as {
      final: { test: { mean: number; count: number } };
      runs: { seed: number; path: string; final: { test: number } }[];
    };
    expect(document.runs.map(({ path }) => path)).toEqual([join(run, "seed-1"), join(run, "seed-2")]);
    expect(document.final.test.count).toBe(2);
    expect(document.final.test.mean).toBeCloseTo((document.runs[0]!.final.test + document.runs[1]!.final.test) / 2, 12);
  });

  test("with several seeds says whose results --save keeps, and of one seed nothing", async () => {
    const { err } = await fewShots("--seed", "1,2", "--save", at("saved"), "--quiet");
    expect(err).toBe("note: --save: learned_composition.json holds the results of seed 2, the last one; those of every seed are in its run folder\n");
    const file = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));
    expect(file(at("saved", "tiny", "learned_composition.json"))).toEqual(file(join(run, "seed-2", "learned_composition.json")));
    expect(await fewShots("--save", at("saved"), "--quiet", "--run", `${run}-single`)).toMatchObject({ status: 0, err: "" });
  });

  test("leaves no tensor behind", async () => {
    await fewShots("--run", at("runs", "warm"), "--adapter", "linear");
    const before = tf.memory().numTensors;
    expect(await fewShots("--adapter", "linear")).toMatchObject({ status: 0 });
    expect(tf.memory().numTensors).toBe(before);
  });

  test("of isotropic coefficients has one a task vector", async () => {
    expect(await fewShots("--no-blockwise-coef", "--task-vectors", "Gamma,Alpha")).toMatchObject({ status: 0 });
    const composition = await readComposition(join(run, "composition.safetensors"));
    expect(composition).toMatchObject({ composition: "isotropic", shapes: { coef: [2] } });
    expect(composition.taskVectors.map(({ name }) => name)).toEqual(["Gamma", "Alpha"]);
  });

  test("leaves the target's own task vector out", async () => {
    writePictures(at("Beta"), ["red", "green"]);
    expect(await fewShots("--target", at("Beta"))).toMatchObject({ status: 0 });
    expect((await readComposition(join(run, "composition.safetensors"))).taskVectors.map(({ name }) => name)).toEqual([
      "Alpha",
      "Gamma",
    ]);
  });

  test("with the linear adapter also reports and saves that classifier", async () => {
    const { status, out } = await fewShots("--adapter", "linear", "--adapter-options", "{ steps: 20 }");
    expect(status).toBe(0);
    expect(out).toContain("with linear");
    expect(filesIn(run)).toEqual(["adapter.safetensors", "composition.safetensors", "learned_composition.json", "run.json", "splits.json"]);
    const { tensors } = await inspectFile(join(run, "adapter.safetensors"));
    expect(tensors.map(({ name, shape }) => [name, shape])).toEqual([
      ["weight", [3, SPEC.outputWidth]],
      ["bias", [3]],
    ]);
    expect((await readRun(join(run, "run.json"))).options).toMatchObject({ adapter: "linear", adapterOptions: { steps: 20 } });
  });

  test("that is finished is read back by --resume", async () => {
    const first = await fewShots("--json");
    const again = await fewShots("--json", "--resume");
    expect(again.status).toBe(0);
    const results = ({ out }: { out: string }): unknown => (JSON.parse(out) as { runs: unknown }).runs;
    expect(results(again)).toEqual(results(first));
  });

  test("whose coefficients stay where they started says so", async () => {
    const { status, err } = await fewShots("--lr", "1e-50");
    expect(status).toBe(0);
    expect(err).toContain("note: no coefficient has left its start: nothing was learned");
    expect((await fewShots("--run", `${run}-moved`)).err).not.toContain("nothing was learned");
  });

  test("on too few images for validation keeps the last epoch and says so", async () => {
    writePictures(at("few"), ["red", "green"], { train: 4 });
    const { status, err } = await fewShots("--target", at("few"));
    expect(status).toBe(0);
    expect(err).toContain("no validation images: the last epoch's coefficients are kept");
    const record = await readRun(join(run, "run.json"));
    expect(record.remarks?.join()).toContain("no validation images");
    expect(Object.keys(record.final)).toEqual(["test"]);
  });
});

describe("what is printed", () => {
  test("progress is a line an epoch on stderr, and none with --quiet", async () => {
    const { err } = await fewShots("--epochs", "3");
    expect(err.match(/^seed 1: epoch \d\/3 loss \d+\.\d{4} accuracy \d+\.\d%$/gm)).toHaveLength(3);
    expect(await fewShots("--quiet", "--run", `${run}-quiet`)).toMatchObject({ status: 0, err: "" });
  });

  test("--json prints one document and nothing else, remarks included", async () => {
    const { out, err } = await fewShots("--target", at("shapes"), "--json");
    expect(err).toBe("");
    expect((JSON.parse(out) as { notes: string[] }).notes).toEqual([expect.stringContaining("zebra")]);
  });
});

describe("without a saved head", () => {
  test("class names are embedded, and unknown words are told", async () => {
    const { status, err } = await fewShots("--target", at("shapes"));
    expect(status).toBe(0);
    expect(err).toContain('note: 1 of 3 words of class name "blue zebra square" are unknown to the model: zebra');
    expect(err).not.toContain("green round");
  });

  test("a class name without any known word is refused", async () => {
    writePictures(at("animals"), ["red zebra", "yak"]);
    const { status, err } = await fewShots("--target", at("animals"));
    expect(status).toBe(2);
    expect(err).toContain('class name "yak" without any word that the model knows');
    expect(err).toContain("head_animalsVal.safetensors");
  });

  test("all class names without any known word are told at once", async () => {
    writePictures(at("beasts"), ["gnu", "red zebra", "yak"]);
    const { status, err } = await fewShots("--target", at("beasts"));
    expect(status).toBe(2);
    expect(err).toContain('class names "gnu", "yak" without any word that the model knows');
    expect(err).toContain('atlas head --class-names FILE --templates FILE --name "beasts"');
  });

  test("a model without a vocabulary is refused", async () => {
    await writeTinyModel(at("models", "mute"));
    rmSync(at("models", "mute", "vocabulary.json"));
    const { status, err } = await fewShots("--model", "mute", "--target", at("shapes"));
    expect(status).toBe(2);
    expect(err).toContain("neither vocabulary.json nor tokenizer.json");
  });
});

describe("a plug-in", () => {
  test("from a file serves as objective", async () => {
    writeFileSync(at("shrink.mjs"), OBJECTIVE);
    expect(await fewShots("--plugin", at("shrink.mjs"), "--objective", "shrink")).toMatchObject({ status: 0 });
    expect((await readRun(join(run, "run.json"))).options).toMatchObject({ objective: "shrink" });
  });

  test("from a file serves as adapter, with its options", async () => {
    writeFileSync(at("demo.mjs"), ADAPTER);
    expect(await fewShots("--plugin", at("demo.mjs"), "--adapter", "demo", "--adapter-options", "level: 4")).toMatchObject({
      status: 0,
    });
    expect((await readRun(join(run, "run.json"))).options).toMatchObject({ adapter: "demo", adapterOptions: { level: 4 } });
    expect(filesIn(run)).toContain("adapter.safetensors");
  });
});
