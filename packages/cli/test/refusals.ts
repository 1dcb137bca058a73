import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { atlas, temporaryFolder } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { writeTinyModel } from "./tiny-model.js";

/** The folder of a test file whose commands are refused. */
export interface RefusalFolder {
  readonly path: string;
  at(...parts: string[]): string;
  /** The folder of a model with which nothing is wrong. */
  good(): string;
  /** `atlas few-shots` on good input, but for what `more` says, to the run folder `runs/<name>`. */
  run(name: string, ...more: string[]): ReturnType<typeof atlas>;
}

/** Sets up, for the tests of a file: the models "tiny" and "stranger", pictures, and the finished run "done". */
export function refusalFolder(): RefusalFolder {
  const folder = temporaryFolder();
  const at = (...parts: string[]): string => join(folder.path, ...parts);
  const good = (): string => at("models", "tiny");
  const run = (name: string, ...more: string[]): ReturnType<typeof atlas> => {
    const learning = ["--subsample", "2", "--epochs", "1", "--batch-size", "16"];
    return atlas("few-shots", "--model", good(), "--target", at("swatches"), ...learning, "--run", at("runs", name), ...more);
  };
  beforeAll(async () => {
    await writeTinyModel(good());
    await writeTinyModel(at("models", "stranger"), "another");
    writePictures(at("swatches"), ["blue", "green", "red"]);
    expect(await run("done")).toMatchObject({ status: 0 });
  });
  afterAll(folder.remove);
  return { path: folder.path, at, good, run };
}

/** What a refused command line says: all four parts, on stderr alone. */
export function expectRefusal({ status, out, err }: Awaited<ReturnType<typeof atlas>>, ...said: (string | RegExp)[]): void {
  expect(err).toMatch(/^atlas: \S.*\n {2}got: \S.*\n {2}expected: \S.*\n {2}next: \S.*\n$/);
  for (const text of said) expect(err).toMatch(text);
  expect({ status, out }).toEqual({ status: 2, out: "" });
}
