import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inspectFile, openModelFolder, readComposition, readRun } from "@atlas-tv/checkpoints";
import { widen } from "@atlas-tv/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Analysis } from "../src/analysis-run.js";
import { atlas, filesIn, temporaryFolder, type Ended } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { expectRefusal } from "./refusals.js";
import { SPEC, TASKS, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const model = (): string[] => ["--checkpoints", at("models"), "--model", "tiny"];

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  for (const name of ["Beta", "Gamma"]) writePictures(at(name), ["green", "red"], { train: 20 });
  writePictures(at("swatches"), ["blue", "green", "red"], { train: 20 });
});
afterAll(folder.remove);

const learning = ["--epochs", "2", "--batch-size", "8", "--lr", "1e-2"];
const finetune = (target: string, ...more: string[]): Promise<Ended> =>
  atlas("finetune", ...model(), "--target", at(target), ...learning, "--save", at("models"), ...more);

describe("atlas finetune in the tangent space", () => {
  test("writes linear files, whose task vectors negation composes in the linearised model", async () => {
    for (const target of ["Beta", "Gamma"]) expect(await finetune(target, "--finetuning-mode", "linear")).toMatchObject({ status: 0 });
    expect(filesIn(at("models", "tiny", "BetaVal"))).toEqual(["finetuned.safetensors", "linear_finetuned.safetensors", "linear_run.json"]);
    expect((await readRun(at("models", "tiny", "BetaVal", "linear_run.json"))).options).toMatchObject({ finetuningMode: "linear" });
    expect(openModelFolder(at("models", "tiny"), "linearised").tasks).toEqual(["Beta", "Gamma"]);
    const flags = ["--target", at("Beta"), "--control", at("Gamma"), "--control-threshold", "0", ...learning, "--run", at("negation")];
    expect(await atlas("negation", ...model(), ...flags, "--finetuning-mode", "linear")).toMatchObject({ status: 0 });
    const { mode, taskVectors } = await readComposition(at("negation", "composition.safetensors"));
    expect([mode, taskVectors.map(({ name }) => name)]).toEqual(["linearised", ["Beta"]]);
    expect(filesIn(at("negation"))).toContain("learned_linear_negations.json");

    const { final } = await readRun(at("negation", "run.json"));
    const evaluated = await atlas("eval", ...model(), "--target", at("Beta"), "--composition", at("negation", "composition.safetensors"), "--json");
    expect((JSON.parse(evaluated.out) as { accuracy: number }).accuracy).toBe(final["target"]!.raw);
  });

  const COMPOSED: [string, string[]][] = [
    ["few-shots", ["--subsample", "2"]],
    ["ufm", ["--lr", "0.05"]],
  ];

  test.each(COMPOSED)("and the mode posthoc keep the results of %s apart from the model's own", async (command, more) => {
    const save = at(`${command}-saved`);
    const runs = ["standard", "linear", "posthoc"].map((mode) => [mode, at(`${command}-apart-${mode}`)] as const);
    const flags = ["--target", at("swatches"), ...learning, ...more, "--save", save];
    for (const [mode, run] of runs) {
      expect(await atlas(command, ...model(), ...flags, "--finetuning-mode", mode, "--run", run)).toMatchObject({ status: 0 });
    }
    const files = ["learned_composition.json", "learned_linear_composition.json", "learned_posthoc_composition.json"];
    expect(filesIn(join(save, "tiny"))).toEqual(files);
    const json = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));
    for (const [i, [, run]] of runs.entries()) {
      expect(filesIn(run).filter((name) => name.startsWith("learned_"))).toEqual([files[i]]);
      expect(json(join(save, "tiny", files[i]!))).toEqual(json(join(run, files[i]!)));
    }
  });

  test.each(COMPOSED)("serves %s too, whose composition is measured again in the linearised model", async (command, more) => {
    for (const finetuningMode of ["linear", "posthoc"]) {
      const run = at(`${command}-${finetuningMode}`);
      const flags = ["--target", at("swatches"), ...learning, ...more, "--run", run, "--finetuning-mode", finetuningMode];
      expect(await atlas(command, ...model(), ...flags)).toMatchObject({ status: 0 });
      const { mode, taskVectors, coefficients } = await readComposition(join(run, "composition.safetensors"));
      expect([mode, taskVectors.map(({ name }) => name)]).toEqual(["linearised", finetuningMode === "linear" ? ["Beta", "Gamma"] : TASKS]);
      expect(coefficients["coef"]!.some((value) => value !== 0)).toBe(true);
      const { final, options } = await readRun(join(run, "run.json"));
      expect(options).toMatchObject({ finetuningMode });
      const evaluated = await atlas("eval", ...model(), "--target", at("swatches"), "--composition", join(run, "composition.safetensors"), "--json");
      expect((JSON.parse(evaluated.out) as { accuracy: number }).accuracy).toBe(final["test"]!.raw);
    }
  });

  test("serves addition, whose tasks have linear vectors", async () => {
    const flags = ["--targets", [at("Beta"), at("Gamma")].join(), ...learning, "--run", at("addition"), "--finetuning-mode", "linear"];
    expect(await atlas("addition", ...model(), ...flags)).toMatchObject({ status: 0 });
    expect((await readComposition(at("addition", "composition.safetensors"))).mode).toBe("linearised");
    expect(filesIn(at("addition"))).toContain("learned_linear_additions.json");
  });

  test("standard vectors in the linearised model are the mode posthoc", async () => {
    const flags = ["--targets", [at("Beta"), at("Gamma")].join(), ...learning, "--run", at("posthoc")];
    expect(await atlas("addition", ...model(), ...flags, "--finetuning-mode", "posthoc")).toMatchObject({ status: 0 });
    expect((await readComposition(at("posthoc", "composition.safetensors"))).mode).toBe("linearised");
    expect(filesIn(at("posthoc"))).toContain("learned_posthoc_additions.json");
  });

  test("is analysed by its own vectors, in the linearised model", async () => {
    const analyse = async (...more: string[]): Promise<Analysis> => {
      const flags = ["--disentanglement", "--scale", "1", "--data-location", folder.path, "--task-vectors", "Beta,Gamma", "--out", at("analysis")];
      expect(await atlas("analyse", ...model(), ...flags, ...more)).toMatchObject({ status: 0 });
      return JSON.parse(readFileSync(at("analysis", "analysis.json"), "utf8")) as Analysis;
    };
    const [standard, posthoc, linear] = [await analyse(), await analyse("--finetuning-mode", "posthoc"), await analyse("--finetuning-mode", "linear")];
    expect(posthoc.cosines).toEqual(standard.cosines);
    expect(linear.cosines).not.toEqual(standard.cosines);
    expect(posthoc.disentanglement!.errors).not.toEqual(standard.disentanglement!.errors);
    const beside = ["--composition", at("posthoc", "composition.safetensors"), "--finetuning-mode", "linear"];
    expectRefusal(await atlas("analyse", ...model(), ...beside), "--finetuning-mode", "beside --composition");
  });

  test("is needed before its vectors can be composed", async () => {
    const flags = ["--target", at("Gamma"), "--control", at("Beta"), "--run", at("none"), "--finetuning-mode", "linear"];
    await writeTinyModel(at("bare", "tiny"));
    expectRefusal(await atlas("negation", "--checkpoints", at("bare"), "--model", "tiny", ...flags), "Gamma");
  });
});

describe("atlas finetune --lora-rank", () => {
  test("writes a task vector of low rank that commands compose", async () => {
    writePictures(at("Delta"), ["green", "red"], { train: 20 });
    const { status, out } = await finetune("Delta", "--lora-rank", "2", "--json");
    expect(status).toBe(0);
    const { path, accuracy } = JSON.parse(out) as { path: string; accuracy: number };
    expect(path).toBe(at("models", "tiny", "DeltaVal", "task_vector.safetensors"));
    const { tensors } = await inspectFile(path);
    const adapted = SPEC.blocks.filter(({ shape, kind }) => shape.length === 2 && /attention|mlp/.test(kind));
    expect(tensors.map(({ name, shape }) => [name, shape])).toEqual(
      adapted.flatMap(({ name, shape }) => [[`${name}.lora_left`, [shape[0], 2]], [`${name}.lora_right`, [2, shape[1]]]]),
    );
    const vector = await openModelFolder(at("models", "tiny")).taskVector("Delta", SPEC);
    expect([...vector.blocks.values()].every(({ dtype }) => dtype === "low-rank")).toBe(true);
    expect(widen(vector.blocks.values().next().value!).some((value) => value !== 0)).toBe(true);

    expect(await atlas("merge", ...model(), "--scale", "1", "--task-vectors", "Delta", "--out", at("merged", "zeroshot.safetensors"))).toMatchObject({ status: 0 });
    const candidates = ["--target", at("Beta"), "--task-vectors", "Delta,Gamma", ...learning];
    expect(await atlas("few-shots", ...model(), ...candidates, "--subsample", "2", "--run", at("few"))).toMatchObject({ status: 0 });
    expect(await atlas("few-shots", ...model(), ...candidates, "--subsample", "2", "--budget", "1", "--run", at("budget"))).toMatchObject({ status: 0 });
    expect(await atlas("ufm", ...model(), ...candidates, "--run", at("ufm"))).toMatchObject({ status: 0 });
    const tasks = ["--targets", [at("Delta"), at("Gamma")].join(), ...learning, "--run", at("lora-addition")];
    expect(await atlas("addition", ...model(), ...tasks)).toMatchObject({ status: 0 });
    const forget = ["--target", at("Delta"), "--control", at("Gamma"), "--control-threshold", "0", ...learning, "--run", at("lora-negation")];
    expect(await atlas("negation", ...model(), ...forget)).toMatchObject({ status: 0 });
    expect(accuracy).toBeGreaterThan(0);
  });
});
