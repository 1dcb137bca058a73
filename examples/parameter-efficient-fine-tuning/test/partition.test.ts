import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const script = fileURLToPath(new URL("../dist/main.js", import.meta.url));

it("the example of ×K learns K times as many coefficients, each K better than zero-shot on real images", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [script, "--quick"]);
  const [zeroShot, whole, parts] = stdout.trim().split("\n").map((line) => ({
    coefficients: Number(/(\d+) coefficients/.exec(line)?.[1]),
    accuracy: Number(/([\d.]+)%(?! of the data)/.exec(line)?.[1]),
  }));
  expect(parts!.coefficients).toBe(4 * whole!.coefficients);
  for (const { accuracy } of [whole!, parts!]) expect(accuracy).toBeGreaterThan(zeroShot!.accuracy);
}, 120_000);
