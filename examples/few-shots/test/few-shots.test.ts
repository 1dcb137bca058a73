import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { readComposition, readRun, readSplits } from "@atlas-tv/checkpoints";
import { AccuracyTable } from "../src/accuracy-table.js";

const script = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "atlas-few-shots-"));
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

describe("the few-shot example", () => {
  it("learns from four real images a digit, with and without adapters, beats zero-shot on validation images, and writes what it learned", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [script, "--quick", "--adapters", "--validate", "--save", folder]);
    const run = await readRun(join(folder, "run.json"));
    const zeroShot = run.zeroShot["accuracy"]!;
    const accuracy = (method: string): number => run.final[`${method}, k = 4`]!.raw;
    for (const method of ["Tip-Adapter", "LP++"]) expect(stdout).toContain(`${(100 * accuracy(method)).toFixed(1)}`);
    for (const method of ["aTLAS blockwise", "aTLAS, then LP++", "aTLAS with Tip-Adapter"]) {
      expect(stdout).toContain(`${(100 * accuracy(method)).toFixed(1)}`);
      expect(accuracy(method), method).toBeGreaterThan(zeroShot);
    }
    const { coefficients, taskVectors, blocks } = await readComposition(join(folder, "k4-seed1-blockwise", "composition.safetensors"));
    expect(coefficients["coef"]).toHaveLength(taskVectors.length * blocks.length);
    expect(taskVectors.map(({ name }) => name)).not.toContain("MNIST");
    const [split] = await readSplits(join(folder, "splits.json"));
    expect(split!.shots[0]!.indices).toHaveLength(40);
  }, 120_000);

  it("shows means, standard errors and rows of methods without shots", () => {
    const table = new AccuracyTable([1, 4]);
    table.addConstant("zero-shot", 0.5);
    for (const accuracy of [0.6, 0.62, 0.64]) table.add("ours", 4, accuracy);
    table.add("ours", 1, 0.55);
    expect(table.toString().split("\n").map((line) => line.trim().replaceAll(/\s+/g, " "))).toEqual([
      "k = 1 k = 4", "-----------------------------------", "zero-shot 50.0 50.0", "ours 55.0 62.0 ± 1.2",
    ]);
  });
});
