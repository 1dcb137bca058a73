import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const script = fileURLToPath(new URL("../dist/main.js", import.meta.url));

/** The percentage after a name. */
function accuracy(line: string | undefined, name: string): number {
  return Number(new RegExp(`${name} ([\\d.]+)%`).exec(line ?? "")?.[1]);
}

it("the negation example lowers the accuracy of the target and keeps that of the control, on real images", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [script, "--quick"]);
  const [zeroShot, learned] = stdout.trim().split("\n");
  expect(accuracy(learned, " MNIST")).toBeLessThan(accuracy(zeroShot, " MNIST"));
  expect(accuracy(learned, "FashionMNIST")).toBeGreaterThan(0.95 * accuracy(zeroShot, "FashionMNIST"));
}, 120_000);
