import { InputError } from "@atlas-tv/core";
import { expect, it, vi } from "vitest";
import { CudaBackend, setUpRuntime } from "../src/index.js";

vi.mock("../src/runtime-folder.js", async (original) => ({
  ...(await original<typeof import("../src/runtime-folder.js")>()), addonPackage: () => null, findRuntime: () => null,
}));

it("the optional npm package is named, with the command that gets it, where it is not installed", async () => {
  const { missing } = await new CudaBackend({ allowCpu: true }).probe();
  expect(missing).toEqual([expect.stringMatching(/npm install --ignore-scripts @tensorflow\/tfjs-node-gpu@4\.22\.0/)]);
  await expect(setUpRuntime({ kind: "cpu" })).rejects.toThrow(InputError);
});
