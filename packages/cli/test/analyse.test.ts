import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cosineMatrix, sizeOf, type HostTensor } from "@atlas-tv/core";
import { openModelFolder, readComposition, writeComposition, writeTaskVector } from "@atlas-tv/checkpoints";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Analysis } from "../src/analysis-run.js";
import { atlas, filesIn, temporaryFolder } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { expectRefusal } from "./refusals.js";
import { SPEC, TASKS, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const model = (): string[] => ["--checkpoints", at("models"), "--model", "tiny"];
const analyse = (...more: string[]) => atlas("analyse", ...model(), "--out", at("out"), ...more);
const document = (): Analysis => JSON.parse(readFileSync(at("out", "analysis.json"), "utf8")) as Analysis;

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  writePictures(at("swatches"), ["blue", "green", "red"]);
});
afterAll(folder.remove);

describe("atlas analyse", () => {
  test("writes the cosines of all task vectors, as JSON and as a picture", async () => {
    const { status, out } = await analyse();
    expect(status).toBe(0);
    expect(filesIn(at("out"))).toEqual(["analysis.json", "cosines.svg"]);
    const opened = openModelFolder(at("models", "tiny"));
    const vectors = await Promise.all(TASKS.map((task) => opened.taskVector(task, SPEC)));
    expect(document()).toMatchObject({ taskVectors: TASKS, cosines: cosineMatrix(vectors), coefficients: null, disentanglement: null });
    const svg = readFileSync(at("out", "cosines.svg"), "utf8");
    expect(svg).toMatch(/^<svg[^]*<\/svg>$/);
    for (const task of TASKS) expect([out, svg].every((text) => text.includes(task))).toBe(true);
  });

  test("groups the coefficients of a composition by layer and kind of block", async () => {
    const learning = ["--target", at("swatches"), "--subsample", "2", "--epochs", "1", "--run", at("run")];
    expect(await atlas("few-shots", ...model(), ...learning)).toMatchObject({ status: 0 });
    expect(await analyse("--composition", at("run", "composition.safetensors"))).toMatchObject({ status: 0 });
    const { coefficients } = document();
    expect(coefficients!.reduce((sum, { count }) => sum + count, 0)).toBe(TASKS.length * SPEC.blocks.length);
    expect(new Set(coefficients!.map(({ taskVector }) => taskVector))).toEqual(new Set(TASKS));
    expect(readFileSync(at("out", "coefficients.svg"), "utf8")).toContain("attention_input");
    expectRefusal(await analyse("--composition", at("run", "composition.safetensors"), "--task-vectors", "Alpha"), "names its own");
    expectRefusal(await analyse("--composition", at("run", "composition.safetensors"), "--scale", "1"), "--scale", "has its own");
  });

  test("measures the disentanglement error on the vectors' own data sets, and leaves no tensor behind", async () => {
    for (const name of TASKS) writePictures(at("data", name), ["red", "green"], { test: 10 });
    const measure = (...more: string[]) => analyse("--disentanglement", "--data-location", at("data"), ...more);
    expect(await measure("--scale", "0")).toMatchObject({ status: 0 });
    const tensors = tf.memory().numTensors;
    expect(document().disentanglement!.errors.flat()).toEqual([null, 0, 0, 0, null, 0, 0, 0, null]);
    expect(await measure("--scale", "2", "--images", "12")).toMatchObject({ status: 0 });
    expect(tf.memory().numTensors).toBe(tensors);
    const { errors, images, scale } = document().disentanglement!;
    expect([images, scale]).toEqual([{ Alpha: 12, Beta: 12, Gamma: 12 }, 2]);
    expect(errors.flat().some((value) => value !== null && value > 0 && value <= 1)).toBe(true);
    expect(filesIn(at("out"))).toContain("disentanglement.svg");
  });

  test("reads compositions in partitions: equal coefficients of all parts are one for each block", async () => {
    for (const name of TASKS) writePictures(at("data", name), ["red", "green"], { test: 10 });
    const learning = ["--target", at("swatches"), "--subsample", "2", "--epochs", "1", "--partition", "3", "--run", at("parts")];
    expect(await atlas("few-shots", ...model(), ...learning)).toMatchObject({ status: 0 });
    const learned = await readComposition(at("parts", "composition.safetensors"));
    const equal = learned.coefficients["coef"]!.map(() => 2);
    await writeComposition(at("equal.safetensors"), { ...learned, coefficients: { coef: equal } });
    const measure = ["--disentanglement", "--data-location", at("data"), "--images", "12"];
    expect(await analyse(...measure, "--composition", at("equal.safetensors"))).toMatchObject({ status: 0 });
    const { coefficients, disentanglement } = document();
    expect(coefficients!.reduce((sum, { count }) => sum + count, 0)).toBe(3 * TASKS.length * SPEC.blocks.length);
    expect(new Set(coefficients!.map(({ mean }) => mean))).toEqual(new Set([2]));
    expect(await analyse(...measure, "--scale", "2")).toMatchObject({ status: 0 });
    expect(disentanglement!.errors).toEqual(document().disentanglement!.errors);
    expect(await analyse("--composition", at("parts", "composition.safetensors"))).toMatchObject({ status: 0 });
    expect(document().coefficients!.some(({ mean }) => mean !== 0)).toBe(true);
  });

  test("adds the second vector to the first: zeros change no label, and beside zeros the labels are those of the pre-trained model", async () => {
    await writeTinyModel(at("still", "tiny"));
    const zeros = new Map(SPEC.blocks.map(({ name, shape }): [string, HostTensor] => [name, { dtype: "F32", shape, data: new Float32Array(sizeOf(shape)) }]));
    await writeTaskVector(at("still", "tiny", "GammaVal", "task_vector.safetensors"), { name: "Gamma", blocks: zeros });
    for (const name of TASKS) writePictures(at("still-data", name), ["red", "green"], { test: 10 });
    const measure = ["--disentanglement", "--data-location", at("still-data"), "--scale", "2", "--out", at("still-out")];
    expect(await atlas("analyse", "--checkpoints", at("still"), "--model", "tiny", ...measure)).toMatchObject({ status: 0 });
    const { disentanglement } = JSON.parse(readFileSync(at("still-out", "analysis.json"), "utf8")) as Analysis;
    const [[, , alphaAndZero], [, , betaAndZero], [zeroAndAlpha, zeroAndBeta]] = disentanglement!.errors as number[][] as [number[], number[], number[]];
    expect([alphaAndZero, betaAndZero]).toEqual([0, 0]);
    expect(Math.max(zeroAndAlpha!, zeroAndBeta!)).toBeGreaterThan(0);
  });
});
