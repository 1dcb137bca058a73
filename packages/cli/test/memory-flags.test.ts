import { join } from "node:path";
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { readRun } from "@atlas-tv/checkpoints";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { atlas, temporaryFolder } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  for (const name of ["swatches", "Alpha", "Beta"]) writePictures(at(name), ["blue", "green", "red"], { train: 20 });
});
afterAll(folder.remove);

/** What memory is bounded with: the encoder that learns, and the one that task vectors are chosen with, must be given it. */
const BOUNDS = { microBatch: 3, recompute: true };

test.each([
  ["few-shots", ["--target", "swatches", "--subsample", "2"], 1],
  ["few-shots", ["--target", "swatches", "--subsample", "2", "--budget", "1"], 2],
  ["ufm", ["--target", "swatches"], 1],
  ["ufm", ["--target", "swatches", "--budget", "1"], 2],
  ["negation", ["--target", "Beta", "--control", "swatches"], 1],
  ["addition", ["--targets", "Alpha,Beta"], 1],
  ["finetune", ["--target", "swatches"], 1],
] as const)("--micro-batch and --recompute bound the memory of %s %j", async (command, flags, encoders) => {
  const compile = vi.spyOn(CpuBackend.prototype, "compile");
  const named = flags.map((flag) => (/^[A-Za-z,]+$/.test(flag) ? flag.split(",").map((name) => at(name)).join() : flag));
  const place = at(`${command} ${flags.join(" ")}`);
  const where = command === "finetune" ? ["--save", place] : ["--run", place];
  const bounds = ["--micro-batch", "3", "--recompute"];
  const ended = await atlas(command, "--checkpoints", at("models"), "--model", "tiny", ...named, "--epochs", "1", "--batch-size", "8", ...where, ...bounds);
  expect(ended.status, ended.err).toBe(0);
  const bounded = compile.mock.calls.filter(([, , , , options]) => options?.recompute === true && options.microBatch === BOUNDS.microBatch);
  expect(bounded.length).toBe(encoders);
  compile.mockRestore();
  const run = command === "finetune" ? join(place, "tiny", "swatchesVal") : place;
  expect((await readRun(join(run, "run.json"))).options).toMatchObject(BOUNDS);
});
