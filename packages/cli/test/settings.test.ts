import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { InputError } from "@atlas-tv/core";
import type { Command } from "commander";
import { afterAll, describe, expect, test } from "vitest";
import { createProgram } from "../src/index.js";
import { temporaryFolder } from "./command-line.js";

const folder = temporaryFolder();
afterAll(folder.remove);

/** The flags that a command would get, with the command itself left out. */
async function flagsOf(yaml: string, ...args: string[]): Promise<Record<string, unknown>> {
  const path = join(folder.path, "settings.yaml");
  writeFileSync(path, yaml);
  const program = await createProgram({ out: () => {}, note: () => {}, signal: new AbortController().signal });
  const command = program.commands.find((candidate) => candidate.name() === "few-shots") as Command;
  let flags: Record<string, unknown> = {};
  command.action((given: Record<string, unknown>) => {
    flags = given;
  });
  await program.parseAsync(["few-shots", ...args, "--settings", path], { from: "user" });
  return flags;
}

describe("a settings file", () => {
  test.each([
    ["shots: 4", { subsample: { shots: 4 } }],
    ["fraction: 0.25", { subsample: { fraction: 0.25 } }],
    ["fraction: 1", { subsample: { fraction: 1 } }],
    ["subsample: 1", { subsample: { shots: 1 } }],
    ["subsample: 1.0", { subsample: { fraction: 1 } }],
    ["blockwise-coef: false", { blockwiseCoef: false }],
    ["blockwise_coef: true", { blockwiseCoef: true }],
    ["no-blockwise-coef: true", { blockwiseCoef: false }],
    ["allow-short: true", { allowShort: true }],
    ["task-vectors: [Alpha, Beta]", { taskVectors: ["Alpha", "Beta"] }],
    ["task_vectors: Alpha, Beta", { taskVectors: ["Alpha", "Beta"] }],
    ["seed: [1, 2, 3]", { seed: [1, 2, 3] }],
    ["plugin: [./a.mjs, b]", { plugin: ["./a.mjs", "b"] }],
    ["lr: 5e-3", { lr: 0.005 }],
    ["epochs: 12\nbatch-size: 32", { epochs: 12, batchSize: 32 }],
    [
      "adapter: linear\nadapter-options: { steps: 20, learningRate: 0.5 }",
      { adapter: "linear", adapterOptions: { steps: 20, learningRate: 0.5 } },
    ],
  ])("that says %j sets that flag", async (yaml, expected) => {
    expect(await flagsOf(yaml)).toMatchObject(expected);
  });

  test("gives way to the command line", async () => {
    expect(await flagsOf("shots: 4\nepochs: 3", "--subsample", "0.5")).toMatchObject({ subsample: { fraction: 0.5 }, epochs: 3 });
    expect(await flagsOf("blockwise-coef: true", "--no-blockwise-coef")).toMatchObject({ blockwiseCoef: false });
  });

  test.each([
    ["an unknown key", "learning-rate: 0.1", 'the key "learning-rate"'],
    ["a settings file", "settings: other.yaml", 'the key "settings"'],
    ["a value that its flag does not take", "epochs: many", '"many"'],
    ["a switch with a number", "resume: 3", "true or false"],
    ["true where a value belongs", "lr: true", "--lr <rate>"],
    ["a key without a value", "target:", "no value"],
    ["shots with a decimal point", "shots: none", "whole number of shots"],
    ["two names of one flag", "shots: 4\nfraction: 0.5", 'both "shots" and "fraction"'],
    ["a list", "- shots", "a list"],
    ["text that is no YAML", "a: [", "a YAML file"],
    ["a plug-in's options that are no mapping", "adapter-options: 3", "a mapping"],
  ])("with %s is refused", async (_title, yaml, message) => {
    const attempt = flagsOf(yaml);
    await expect(attempt).rejects.toThrow(InputError);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toThrow("settings.yaml");
  });
});
