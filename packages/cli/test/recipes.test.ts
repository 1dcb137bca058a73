import { join } from "node:path";
import { readRun } from "@atlas-tv/checkpoints";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fewShotRecipe, finetuningEpochs, finetuningRecipe, negationRecipe } from "../src/recipes.js";
import { atlas, temporaryFolder } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { writeTinyModel } from "./tiny-model.js";

/** Images of an epoch: nine tenths of the official training set, at most 5,000 left out. */
const PUBLISHED: [string, number][] = [
  ["Cars", 7330], ["DTD", 3384], ["EuroSAT", 21600], ["GTSRB", 23976], ["MNIST", 55000], ["RESISC45", 17010], ["SUN397", 17865], ["SVHN", 68257],
];

describe("the preset paper", () => {
  test.each(PUBLISHED)("fine-tunes on %s for as many epochs as its rule for other data sets would give", (dataset, images) => {
    const { epochs, fallback } = finetuningRecipe({ preset: "paper", dataset, family: "vit", images });
    expect({ epochs, fallback }).toEqual({ epochs: finetuningEpochs(images), fallback: undefined });
    expect(negationRecipe({ preset: "paper", dataset, family: "vit" }).fallback).toBeUndefined();
  });

  test("has a gradient clipped otherwise in the released code, and nothing to say by default", () => {
    const context = { dataset: "Street", family: "vit" } as const;
    expect(negationRecipe({ preset: "released", ...context }).clip).toBe(2 ** -16);
    expect(negationRecipe({ preset: "default", ...context }).fallback).toBeUndefined();
  });
});

describe("few-shot learning by default", () => {
  test.each([[1, 0.01], [2, 0.03], [15, 0.03], [16, 0.1]])("takes %i images a class at a rate of %f, and as published with the preset paper", (shots, lr) => {
    const context = { dataset: "MNIST", family: "vit", shots } as const;
    expect([fewShotRecipe({ preset: "default", ...context }).lr, fewShotRecipe({ preset: "paper", ...context }).lr]).toEqual([lr, 0.1]);
  });
});

describe("negation by default", () => {
  test.each([[5000, 6], [2000, 15], [1000, 29], [500, 30], [40, 30]])("learns from %i images in %i epochs", (images, epochs) => {
    expect(negationRecipe({ preset: "default", dataset: "MNIST", family: "vit", images }).epochs).toBe(epochs);
  });
});

describe("what the paper has no number for", () => {
  const folder = temporaryFolder();
  const at = (...parts: string[]): string => join(folder.path, ...parts);
  beforeAll(async () => {
    await writeTinyModel(at("models", "tiny"));
    for (const name of ["Beta", "Gamma"]) writePictures(at(name), ["green", "red"], { train: 20 });
  });
  afterAll(folder.remove);
  const common = (): string[] => ["--checkpoints", at("models"), "--model", "tiny", "--target", at("Beta"), "--preset", "paper", "--batch-size", "8"];

  test("is said once, with what is taken for it, and recorded", async () => {
    const said = "--preset paper: the paper has no learning rate and epochs for the negation of Beta: the default preset's are taken, 0.002 and 30";
    const { status, err } = await atlas("negation", ...common(), "--control", at("Gamma"), "--seed", "1,2", "--run", at("run"));
    expect(status).toBe(0);
    expect(err.split("\n").filter((line) => line.includes("--preset"))).toEqual([`note: ${said}`]);
    for (const seed of ["seed-1", "seed-2"]) {
      const { remarks, options } = await readRun(at("run", seed, "run.json"));
      expect(remarks).toContain(said);
      expect(options).toMatchObject({ lr: 0.002, epochs: 30 });
    }
  });

  test("is not said where the flags say it", async () => {
    const { status, err } = await atlas("negation", ...common(), "--control", at("Gamma"), "--lr", "1e-3", "--epochs", "1", "--run", at("told"));
    expect({ status, said: err.includes("--preset") }).toEqual({ status: 0, said: false });
  });

  test("are as many epochs of fine-tuning as make about 2,000 steps", async () => {
    const { status, err } = await atlas("finetune", ...common(), "--images", "3", "--epochs", "1", "--save", at("told"));
    expect({ status, said: err.includes("--preset") }).toEqual({ status: 0, said: false });
    const { fallback, epochs } = finetuningRecipe({ preset: "paper", dataset: "Beta", family: "vit", images: 25600 });
    expect([epochs, fallback?.text]).toEqual([10, "the paper has no epochs of fine-tuning for Beta: 10 are taken, about 2000 steps as on its eight first data sets"]);
  });
});
