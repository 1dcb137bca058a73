import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { inspectFile, openCheckpoint, openFile, sniff } from "../src/node.js";
import { fixture, safetensorsFiles } from "./fixture-folder.js";

const pytorch = readdirSync(fixture("checkpoints")).filter((name) => name.endsWith(".pt"));

test.each(pytorch)("%s is recognised as PyTorch's", async (name) => {
  await using source = await openFile(fixture("checkpoints", name));
  expect((await sniff(source)).kind).toBe(name.includes("legacy") ? "pytorch-legacy" : name.includes("torchscript") ? "torchscript" : "pytorch-zip");
});

test.each(safetensorsFiles("checkpoints"))("%s: the inspection lists what the file holds", async (name) => {
  const path = fixture("checkpoints", name);
  await using file = await openCheckpoint(path);
  const { format, tensors } = await inspectFile(path);
  expect(format).toBe("safetensors");
  expect(tensors.map(({ name: tensor }) => tensor)).toEqual(file.names);
});
