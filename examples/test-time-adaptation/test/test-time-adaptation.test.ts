import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const script = fileURLToPath(new URL("../dist/main.js", import.meta.url));

it("the example of test-time adaptation is better than zero-shot on all test images, without a label", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [script, "--quick"]);
  const [zeroShot, learned] = [...stdout.matchAll(/([\d.]+)% of 10000 test images/g)].map(([, percent]) => Number(percent));
  expect(learned).toBeGreaterThan(zeroShot!);
}, 120_000);
