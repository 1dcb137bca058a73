import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { filesIn, start, temporaryFolder, type Child } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { ADAPTER, BACKEND } from "./plugin-sources.js";
import { writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  writePictures(at("swatches"), ["blue", "green", "red"], { train: 20 });
});
afterAll(folder.remove);

/** All paths are relative to the folder that the program is called in. */
const fewShots = (run: string, ...more: string[]): Child => {
  const learning = ["--subsample", "2", "--epochs", "1", "--batch-size", "4"];
  return start(folder.path, "few-shots", "--model", "models/tiny", "--target", "swatches", ...learning, "--run", run, "--quiet", ...more);
};

describe("the program", () => {
  test("ends with 0 and one document for --json", async () => {
    const { status, out, err } = await start(folder.path, "eval", "--model", "models/tiny", "--target", "swatches", "--json")
      .ended;
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(JSON.parse(out)).toMatchObject({ target: "swatches", total: 24 });
  });

  test("ends with 2 for bad input, and says it on stderr", async () => {
    const { status, out, err } = await start(folder.path, "inspect", "nothing.safetensors").ended;
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toContain("atlas: nothing.safetensors\n  got: no such file");
  });

  test("refuses what cuda-setup cannot build with, and writes nothing", async () => {
    const before = filesIn(folder.path);
    const { status, out, err } = await start(folder.path, "cuda-setup", "--tensorflow", "nowhere", "--runtime", "runtimes").ended;
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toMatch(/^atlas: (--tensorflow|cuda-setup)\n {2}got: .*\n {2}expected: .*\n {2}next: /);
    expect(filesIn(folder.path)).toEqual(before);
  });

  test("prints its version", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
    expect(await start(folder.path, "--version").ended).toMatchObject({ status: 0, out: `${version}\n`, err: "" });
  });

  test("finds a plug-in by its name among the packages of the folder it is called in", async () => {
    const home = at("node_modules", "@atlas-tv", "adapters-demo");
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "plugin.js"), ADAPTER);
    writeFileSync(
      join(home, "package.json"),
      JSON.stringify({ name: "@atlas-tv/adapters-demo", type: "module", exports: { ".": { import: "./plugin.js" } } }),
    );
    const { status, out, err } = await fewShots("with-demo", "--adapter", "demo").ended;
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toContain("with demo");
  });

  test("shows no greeting of a library", async () => {
    writeFileSync(at("backend.mjs"), BACKEND);
    const flags = ["--model", "models/tiny", "--target", "swatches", "--plugin", "./backend.mjs", "--backend", "tfjs-cpu"];
    expect(await start(folder.path, "eval", ...flags).ended).toMatchObject({ status: 0, err: "" });
  });
});
