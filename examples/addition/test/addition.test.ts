import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const script = fileURLToPath(new URL("../dist/main.js", import.meta.url));

/** The percentage after a name. */
function accuracy(line: string | undefined, name: string): number {
  return Number(new RegExp(`${name} ([\\d.]+)%`).exec(line ?? "")?.[1]);
}

it("the addition example makes one model better at both tasks, on real images", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [script, "--quick"]);
  const [zeroShot, finetuned, learned] = stdout.trim().split("\n");
  for (const task of [" MNIST", "FashionMNIST"]) {
    expect(accuracy(learned, task), task).toBeGreaterThan(accuracy(zeroShot, task));
    expect(accuracy(learned, task), task).toBeLessThan(accuracy(finetuned, task));
  }
  expect(accuracy(learned, "normalised mean")).toBeGreaterThan(accuracy(zeroShot, "normalised mean"));
}, 120_000);
