import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readRun } from "@atlas-tv/checkpoints";
import { afterAll, describe, expect, it } from "vitest";

const script = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "atlas-sweep-quick-"));
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

/** Runs the quick sweep; kills it as soon as its progress says so. */
function quickSweep(killAt?: RegExp): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, "--quick", "--out", folder], { stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => { stdout += text; });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      if (killAt?.test(stderr) === true) child.kill("SIGKILL");
    });
    child.once("error", reject);
    child.once("close", (status) => { resolve({ status, stdout, stderr }); });
  });
}

describe("npm run sweep -- --quick", () => {
  it("is killed after its first run, goes on with the second, and ends in one table", async () => {
    const killed = await quickSweep(/^1 of 2/m);
    expect(killed.status).toBeNull();
    const first = join(folder, "few-shots", "MNIST", "k-1", "aTLAS-LPpp", "seed-1", "run.json");
    const before = statSync(first).mtimeMs;

    const { status, stdout, stderr } = await quickSweep();
    expect(stderr).toMatch(/^2 of 2: .*LPpp/m);
    expect(stderr).not.toMatch(/^1 of 2/m);
    expect(status).toBe(0);
    expect(statSync(first).mtimeMs).toBe(before);

    const learned = (await readRun(first)).final["test"]!.raw;
    const table = readFileSync(join(folder, "sweep.csv"), "utf8");
    expect(table).toContain(`few-shots,MNIST,1,aTLAS,accuracy,${learned.toFixed(6)}`);
    expect(readFileSync(join(folder, "sweep.md"), "utf8")).toContain(`| MNIST | aTLAS | ${(100 * learned).toFixed(1)} |`);
    expect(readFileSync(join(folder, "sweep.svg"), "utf8")).toContain("</svg>");
    expect(stdout.trim().split("\n")).toEqual(["csv", "md", "svg"].map((extension) => join(folder, `sweep.${extension}`)));
  });
});
