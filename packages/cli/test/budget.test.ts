import { join } from "node:path";
import { openModelFolder, readComposition, readRun, writeTaskVector } from "@atlas-tv/checkpoints";
import { widen, type HostTensor } from "@atlas-tv/core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { compositionRoot } from "../src/composition-root.js";
import { loadComposition } from "../src/loaded-composition.js";
import { loadModel } from "../src/loaded-model.js";
import { atlas, filesIn, temporaryFolder, type Ended } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { expectRefusal } from "./refusals.js";
import { SPEC, TASKS, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);

let run = "";
let runs = 0;
beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  writePictures(at("swatches"), ["blue", "green", "red"], { train: 20 });
});
beforeEach(() => {
  run = at("runs", String(++runs));
});
afterAll(folder.remove);

const fewShots = (...more: string[]): Promise<Ended> =>
  atlas(
    "few-shots", "--checkpoints", at("models"), "--model", "tiny", "--target", at("swatches"),
    "--subsample", "2", "--epochs", "2", "--batch-size", "8", "--run", run, ...more,
  );

describe("few-shots --budget", () => {
  test.each(["random", "gradient"])("%s combines so many whole vectors", async (select) => {
    expect(await fewShots("--budget", "2", "--select", select)).toMatchObject({ status: 0 });
    const { taskVectors, shapes } = await readComposition(join(run, "composition.safetensors"));
    expect(shapes).toEqual({ coef: [2, SPEC.blocks.length] });
    expect(taskVectors.every(({ name }) => TASKS.includes(name))).toBe(true);
    expect((await readRun(join(run, "run.json"))).options).toMatchObject({ budget: 2, select });
  });

  test("blockwise takes a vector of its own for every block, and is saved as coefficients of the vectors themselves", async () => {
    const { status, out } = await fewShots("--budget", "1", "--select", "blockwise", "--json");
    expect(status).toBe(0);
    const { coefficients, taskVectors } = await readComposition(join(run, "composition.safetensors"));
    const m = SPEC.blocks.length;
    const rows = taskVectors.map((_, i) => coefficients["coef"]!.subarray(i * m, (i + 1) * m));
    for (let j = 0; j < m; j++) expect(rows.filter((row) => row[j] !== 0).length).toBeLessThanOrEqual(1);
    expect(taskVectors.length).toBeGreaterThan(1);

    const { final } = JSON.parse(out) as { final: { test: { mean: number } } };
    const saved = ["--composition", join(run, "composition.safetensors"), "--json"];
    const evaluated = await atlas("eval", "--checkpoints", at("models"), "--model", "tiny", "--target", at("swatches"), ...saved);
    expect((JSON.parse(evaluated.out) as { accuracy: number }).accuracy).toBe(final.test.mean);
  });

  test.each([1, 2])("blockwise of %d vectors is applied with no more than their blocks in memory", async (budget) => {
    expect(await fewShots("--budget", String(budget), "--select", "blockwise")).toMatchObject({ status: 0 });
    const model = await loadModel({ checkpoints: at("models"), model: "tiny" });
    const file = join(run, "composition.safetensors");
    const container = await compositionRoot([]);
    const held = async (parts: "needed" | "whole"): Promise<number> => {
      const { vectors } = await loadComposition(container, model, file, parts);
      return vectors.reduce((sum, { vector: { blocks } }) => sum + blocks.size, 0);
    };
    expect(await held("needed")).toBeLessThanOrEqual(budget * SPEC.blocks.length);
    expect(await held("whole")).toBe(TASKS.length * SPEC.blocks.length);
  });

  test("of all vectors by gradient learns what no budget learns, in another order of the vectors", async () => {
    expect(await fewShots("--run", `${run}-all`)).toMatchObject({ status: 0 });
    expect(await fewShots("--budget", String(TASKS.length), "--select", "gradient")).toMatchObject({ status: 0 });
    const rows = async (path: string): Promise<Record<string, Float32Array>> => {
      const { taskVectors, coefficients } = await readComposition(join(path, "composition.safetensors"));
      const m = SPEC.blocks.length;
      return Object.fromEntries(taskVectors.map(({ name }, i) => [name, coefficients["coef"]!.slice(i * m, (i + 1) * m)]));
    };
    const [all, chosen] = [await rows(`${run}-all`), await rows(run)];
    for (const task of TASKS) chosen[task]!.forEach((value, j) => expect(value, `${task} ${j}`).toBeCloseTo(all[task]![j]!, 2));
  });

  test("by features compares the target with the vectors' own data sets, and asks for them", async () => {
    for (const name of TASKS) writePictures(at("data", name), ["blue", "red"]);
    expect(await fewShots("--budget", "1", "--select", "features", "--data-location", at("data"), "--run", `${run}-found`)).toMatchObject({ status: 0 });
    expectRefusal(await fewShots("--budget", "1", "--select", "features"), /data set "(Alpha|Beta|Gamma)"/);
  });

  test.each(TASKS)("by features takes the vector whose data set shows what the target shows: %s", async (alike) => {
    for (const name of TASKS) writePictures(at(alike, name), name === alike ? ["blue", "green", "red"] : ["blue", "blue again"], { train: 20 });
    expect(await fewShots("--budget", "1", "--select", "features", "--data-location", at(alike))).toMatchObject({ status: 0 });
    expect((await readComposition(join(run, "composition.safetensors"))).taskVectors.map(({ name }) => name)).toEqual([alike]);
  });

  test.each(["gradient", "blockwise"])("by %s takes the vector that the loss depends on more", async (select) => {
    const whole = await openModelFolder(at("models", "tiny")).taskVector("Alpha", SPEC);
    const faint = new Map([...whole.blocks].map(([name, block]): [string, HostTensor] => {
      return [name, { dtype: "F32", shape: block.shape, data: widen(block).map((value) => value / 1000) }];
    }));
    await writeTaskVector(at("faint.safetensors"), { name: "faint", blocks: faint });
    for (const candidates of [[at("faint.safetensors"), "Alpha"], ["Alpha", at("faint.safetensors")]]) {
      const place = `${run}-${candidates.indexOf("Alpha")}`;
      const flags = ["--budget", "1", "--select", select, "--task-vectors", candidates.join(), "--run", place];
      expect(await fewShots(...flags)).toMatchObject({ status: 0 });
      expect((await readComposition(join(place, "composition.safetensors"))).taskVectors.map(({ name }) => name)).toEqual(["Alpha"]);
    }
  });

  test("random draws by the seed", async () => {
    const seeds = ["1", "2", "3", "4", "5", "6"];
    const flags = ["--budget", "1", "--select", "random", "--epochs", "1", "--seed", seeds.join()];
    expect(await fewShots(...flags)).toMatchObject({ status: 0 });
    const drawn = await Promise.all(seeds.map(async (seed) => (await readComposition(join(run, `seed-${seed}`, "composition.safetensors"))).taskVectors[0]!.name));
    expect(new Set(drawn).size).toBeGreaterThan(1);
  });

  test("refuses more than there are, and blocks of their own without coefficients of their own", async () => {
    expectRefusal(await fewShots("--budget", "4"), "from 1 to 3");
    expectRefusal(await fewShots("--budget", "1", "--no-blockwise-coef"), "--select blockwise");
    expectRefusal(await fewShots("--select", "random"), "--select random", "--budget B");
    expect(filesIn(run)).toEqual([]);
  });
});

describe("ufm --budget", () => {
  const ufm = (...more: string[]): Promise<Ended> =>
    atlas("ufm", "--checkpoints", at("models"), "--model", "tiny", "--target", at("swatches"), "--epochs", "2", "--batch-size", "8", "--lr", "0.05", "--run", run, ...more);

  test.each([
    ["random", "ufm"],
    ["features", "ufm"],
    ["gradient", "entropy"],
    ["blockwise", "ufm"],
  ])("%s chooses by the images without their labels, with the objective %s", async (select, objective) => {
    for (const name of TASKS) writePictures(at("data", name), ["blue", "red"]);
    const { status } = await ufm("--budget", "1", "--select", select, "--objective", objective, "--data-location", at("data"));
    expect(status).toBe(0);
    const { taskVectors, coefficients } = await readComposition(join(run, "composition.safetensors"));
    const m = SPEC.blocks.length;
    for (let j = 0; j < m; j++) expect(taskVectors.filter((_, i) => coefficients["coef"]![i * m + j] !== 0).length).toBeLessThanOrEqual(1);
    expect(taskVectors.length === 1).toBe(select !== "blockwise");
    const record = await readRun(join(run, "run.json"));
    expect(record.options).toMatchObject({ budget: 1, select });
    expect(record.notes).toContain(`the budget was spent on ${taskVectors.map(({ name }) => name).join(", ")}`);
    const saved = ["--composition", join(run, "composition.safetensors"), "--json"];
    const evaluated = await atlas("eval", "--checkpoints", at("models"), "--model", "tiny", "--target", at("swatches"), ...saved);
    expect((JSON.parse(evaluated.out) as { accuracy: number }).accuracy).toBe(record.final["test"]!.raw);
  });

  test("refuses more than there are", async () => {
    expectRefusal(await ufm("--budget", "4"), "from 1 to 3");
    expect(filesIn(run)).toEqual([]);
  });
});
