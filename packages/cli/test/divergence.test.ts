import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readState, writeSafetensorsFile } from "@atlas-tv/checkpoints";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EXIT } from "../src/failure.js";
import { atlas, filesIn, temporaryFolder, type Ended } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { POISONED_BACKEND } from "./plugin-sources.js";
import { SPEC, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  for (const name of ["Beta", "Gamma", "swatches"]) writePictures(at(name), ["blue", "green", "red"], { train: 20 });
  writeFileSync(at("poisoned.mjs"), POISONED_BACKEND);
});
afterAll(folder.remove);

/** What the poisoned backend reads and counts. */
const poison = globalThis as { poisonedFrom?: number; forwardPasses?: number };

let run = "";
let runs = 0;
beforeEach(() => {
  run = at("runs", String(++runs));
});

const EPOCHS = 3;

/** Each on data that it learns from: its flags, those that name its folder, that folder, and the file that it ends with. */
const COMMANDS: [string, () => string[], string, (place: string) => string, string][] = [
  ["few-shots", () => ["few-shots", "--target", at("swatches"), "--subsample", "2"], "--run", (place) => place, "composition.safetensors"],
  ["ufm", () => ["ufm", "--target", at("swatches")], "--run", (place) => place, "composition.safetensors"],
  ["negation", () => ["negation", "--target", at("Beta"), "--control", at("Gamma"), "--control-threshold", "0"], "--run", (place) => place, "composition.safetensors"],
  ["addition", () => ["addition", "--targets", [at("Beta"), at("Gamma")].join()], "--run", (place) => place, "composition.safetensors"],
  ["finetune", () => ["finetune", "--target", at("swatches")], "--save", (place) => join(place, "tiny", "swatchesVal"), "finetuned.safetensors"],
];

const learn = (command: string[], ...more: string[]): Promise<Ended> =>
  atlas(...command, "--checkpoints", at("models"), "--model", "tiny", "--batch-size", "8", "--quiet", ...more);

describe("a loss that is no number", () => {
  test.each(COMMANDS)("in a later epoch ends %s with status 1, and its state goes on", async (_name, command, flag, folderOf, result) => {
    const begin = (place: string, ...more: string[]): Promise<Ended> => {
      poison.forwardPasses = 0;
      const backend = ["--plugin", at("poisoned.mjs"), "--backend", "poisoned"];
      return learn(command(), ...backend, "--epochs", String(EPOCHS), "--lr", "1e-3", flag, place, ...more);
    };
    poison.poisonedFrom = Infinity;
    const whole = `${run}-whole`;
    expect(await begin(whole)).toMatchObject({ status: 0 });

    const passes = poison.forwardPasses!;
    poison.poisonedFrom = Math.ceil(((EPOCHS - 1) * passes) / EPOCHS) + 1;
    const tensors = tf.memory().numTensors;
    const { status, out, err } = await begin(run);
    expect({ status, out }).toEqual({ status: EXIT.failure, out: "" });
    expect(err).toMatch(/^atlas: the loss is NaN at step \d+; the state after epoch 2 is kept\. Try a lower learning rate\.$/m);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(filesIn(folderOf(run))).toEqual(["state.safetensors"]);
    expect((await readState(join(folderOf(run), "state.safetensors"))).state).toMatchObject({ epoch: 2 });

    poison.poisonedFrom = Infinity;
    expect(await begin(run, "--resume")).toMatchObject({ status: 0 });
    const [first, second] = [whole, run].map((place) => readFileSync(join(folderOf(place), result)));
    expect(second!.equals(first!)).toBe(true);
  });

  test.each(COMMANDS)("at a rate that is too high ends %s with status 1, and leaves nothing", async (_name, command, flag) => {
    const { status, out, err } = await learn(command(), "--lr", "1e38", flag, run);
    expect({ status, out }).toEqual({ status: EXIT.failure, out: "" });
    expect(err).toMatch(/^atlas: (the loss is \S+ at step \d+|\w+ of images became NaN or infinite after step \d+); no epoch was finished\. Try a lower/m);
    expect(filesIn(run)).toEqual([]);
  });

  test.each([
    ["tip", "{ learningRate: 1e38 }", /^atlas: Tip-Adapter: the loss is \S+ at step \d+/m],
    ["linear", "{ learningRate: 1e39 }", /^atlas: linear probe: the loss is \S+ at step \d+/m],
  ])("ends the fitting of the adapter %s with status 1, and leaves nothing", async (adapter, options, said) => {
    const flags = ["few-shots", "--target", at("swatches"), "--subsample", "2", "--no-compose", "--adapter", adapter, "--adapter-options", options];
    const { status, out, err } = await atlas(...flags, "--checkpoints", at("models"), "--model", "tiny", "--run", run);
    expect({ status, out }).toEqual({ status: EXIT.failure, out: "" });
    expect(err).toMatch(said);
    expect(filesIn(run)).toEqual([]);
  });

  // Its step sizes are its own; what can go wrong is the head: 2.5 times the length of such rows is no float32.
  test.each([
    ["at its start", [], /^atlas: LP\+\+: the loss is NaN in epoch 1$/m],
    ["with AdamW", ["--adapter-options", "{ optimiser: adamw }"], /^atlas: LP\+\+: the loss is NaN at step 1\b/m],
  ])("ends the fitting of LP++ %s with status 1, and leaves nothing", async (_when, more, said) => {
    await writeTinyModel(at("steep", "tiny"));
    const weight = Float32Array.from({ length: 3 * SPEC.outputWidth }, (_, i) => (i % 2 === 0 ? 3e38 : -3e38));
    await writeSafetensorsFile(at("steep", "tiny", "head_swatchesVal.safetensors"), new Map([["weight", { dtype: "F32", shape: [3, SPEC.outputWidth], data: weight }]]), {
      class_names: JSON.stringify(["blue", "green", "red"]),
    });
    const flags = ["few-shots", "--target", at("swatches"), "--subsample", "2", "--no-compose", "--adapter", "lpp", ...more];
    const saved = ["--run", run, "--save", at("saved")];
    const { status, out, err } = await atlas(...flags, "--checkpoints", at("steep"), "--model", "tiny", ...saved);
    expect({ status, out }).toEqual({ status: EXIT.failure, out: "" });
    expect(err).toMatch(said);
    expect([filesIn(run), filesIn(at("saved"))]).toEqual([[], []]);
  });
});
