import { availableParallelism } from "node:os";
import { expect, it } from "vitest";
import { CpuBackend } from "../src/index.js";
import { measureProductRate } from "../src/device-rates.js";

it("the cpu backend measures onnxruntime's products and what they read", async () => {
  const { flops, bytesPerSecond } = await new CpuBackend().measure();
  const again = await measureProductRate(availableParallelism(), 0.1);
  // A busy machine may be slow at one of two moments.
  expect(flops).toBeGreaterThan(again / 20);
  expect(flops).toBeLessThan(again * 20);
  expect(bytesPerSecond).toBeGreaterThan(5e7);
  expect(bytesPerSecond).toBeLessThan(5e12);
});
