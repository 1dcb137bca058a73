import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openModelFolder, readCheckpoint } from "@atlas-tv/checkpoints";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { atlas, temporaryFolder, type Ended } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { expectRefusal } from "./refusals.js";
import { SPEC, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const model = at("tiny");
const head = (...flags: string[]): Promise<Ended> => atlas("head", "--model", model, ...flags);

beforeAll(async () => {
  await writeTinyModel(model);
  writeFileSync(at("colours.txt"), "red\ngreen\n\nblue\n");
  writeFileSync(at("templates.json"), '["a photo of {}", "a {} square"]');
});
afterAll(folder.remove);

const own = (): string[] => ["--class-names", at("colours.txt"), "--templates", at("templates.json")];

describe("atlas head", () => {
  test("builds a head from class names and templates, beside the model", async () => {
    const { status, err } = await head(...own());
    expect(status, err).toBe(0);
    expect(err).toContain("colours prompts: 6 of 6");
    const built = (await openModelFolder(model).head("colours"))!;
    expect(built).toMatchObject({ classNames: ["red", "green", "blue"], width: SPEC.outputWidth });
    const length = Math.hypot(...built.weight.subarray(0, built.width));
    expect(length).toBeCloseTo(20, 4);
  });

  test("builds the same head once, and another one only when it is told to", async () => {
    const path = join(model, "head_colours-of-thingsVal.safetensors");
    const json = async (...flags: string[]): Promise<{ cached: boolean }> => JSON.parse((await head(...flags, "--name", "colours-of-things", "--json")).out) as { cached: boolean };
    expect(await json(...own())).toMatchObject({ cached: false, path, classes: 3, templates: 2 });
    const bytes = readFileSync(path);
    expect(await json(...own())).toMatchObject({ cached: true });
    expect(readFileSync(path)).toEqual(bytes);
    writeFileSync(at("other.txt"), "blue\nred");
    const other = ["--class-names", at("other.txt"), "--templates", at("templates.json")];
    expectRefusal(await head(...other, "--name", "colours-of-things"), "--overwrite");
    expect(readFileSync(path)).toEqual(bytes);
    expect(await json(...other, "--overwrite")).toMatchObject({ cached: false, classes: 2 });
  });

  test("takes the class names of a folder of pictures, as eval does", async () => {
    writePictures(at("shades"), ["blue", "green", "red"], { train: 2, test: 2 });
    const measured = async (): Promise<string> => (await atlas("eval", "--model", model, "--target", at("shades"))).out;
    const before = await measured();
    expect(await head("--target", at("shades"))).toMatchObject({ status: 0 });
    expect(await openModelFolder(model).head("shades")).not.toBeNull();
    expect(await measured()).toBe(before);
  });

  test("finds a data set by its name in --data-location, as eval does", async () => {
    writePictures(at("data", "tints"), ["blue", "green", "red"], { train: 2, test: 2 });
    expect(await atlas("eval", "--model", model, "--target", "tints", "--data-location", at("data"))).toMatchObject({ status: 0 });
    expect(await head("--target", "tints", "--data-location", at("data"))).toMatchObject({ status: 0 });
    expect(await openModelFolder(model).head("tints")).toMatchObject({ classNames: ["blue", "green", "red"] });
  });

  test("takes the published prompts of one of the paper's data sets", async () => {
    // The tiny model knows hardly a word, so it refuses the names: they are DTD's.
    expectRefusal(await head("--target", "dtd"), "head of DTD", "banded");
  });

  test("writes where it is told to", async () => {
    expect(await head(...own(), "--out", at("elsewhere", "head.safetensors"), "--quiet")).toMatchObject({ status: 0, err: "" });
    const { metadata } = await readCheckpoint(at("elsewhere", "head.safetensors"), (file) => Promise.resolve(file));
    expect(JSON.parse(metadata["templates"]!)).toEqual(["a photo of {}", "a {} square"]);
  });

  test("says what is missing or wrong", async () => {
    expectRefusal(await head(), "neither --target nor --class-names");
    expectRefusal(await head(...own(), "--target", "MNIST"), "both");
    expectRefusal(await head("--class-names", at("colours.txt")), "--templates");
    expectRefusal(await head("--class-names", at("none.txt"), "--templates", at("templates.json")), "none.txt");
    writeFileSync(at("broken.json"), '["a {}", 7]');
    expectRefusal(await head("--class-names", at("colours.txt"), "--templates", at("broken.json")), "broken.json");
    writeFileSync(at("flat.txt"), "a photo");
    expectRefusal(await head("--class-names", at("colours.txt"), "--templates", at("flat.txt"), "--name", "flat"), "{}");
    rmSync(join(model, "vocabulary.json"));
    expectRefusal(await head(...own(), "--name", "mute"), "vocabulary.json", "tokenizer.json");
  });

  test("refuses a path where the name of a data set belongs", async () => {
    expectRefusal(await head(...own(), "--name", "data/colours"), "--name data/colours", "a path");
  });
});
