import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { readRun } from "@atlas-tv/checkpoints";
import { Random } from "@atlas-tv/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { filesIn, start, temporaryFolder, type Child } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { ADAPTER, BACKEND } from "./plugin-sources.js";
import { writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);

/** Long enough to be killed in the middle of several times. */
const EPOCHS = 30;

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  writePictures(at("swatches"), ["blue", "green", "red"], { train: 20 });
});
afterAll(folder.remove);

/** All paths are relative to the folder that the program is called in. */
const fewShots = (run: string, ...more: string[]): Child =>
  start(
    folder.path,
    "few-shots",
    "--model",
    "models/tiny",
    "--target",
    "swatches",
    "--subsample",
    "2",
    "--epochs",
    String(EPOCHS),
    "--batch-size",
    "4",
    "--run",
    run,
    "--quiet",
    ...more,
  );

const finetune = (save: string, ...more: string[]): Child =>
  start(
    folder.path,
    "finetune",
    "--checkpoints",
    "models",
    "--model",
    "tiny",
    "--target",
    "swatches",
    "--epochs",
    String(EPOCHS),
    "--batch-size",
    "8",
    "--lr",
    "1e-3",
    "--save",
    save,
    "--quiet",
    ...more,
  );

const ufm = (run: string, ...more: string[]): Child =>
  start(
    folder.path,
    "ufm",
    "--model",
    "models/tiny",
    "--target",
    "swatches",
    "--epochs",
    String(EPOCHS),
    "--batch-size",
    "16",
    "--lr",
    "0.1",
    "--run",
    run,
    "--quiet",
    ...more,
  );

/** When a file was last written, 0 for one that is not there. */
function writtenAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Waits until a running program writes a file anew. */
async function nextWrite(path: string, child: Child): Promise<void> {
  const before = writtenAt(path);
  while (writtenAt(path) === before) {
    if (child.process.exitCode !== null) throw new Error(`${path} was not written:\n${(await child.ended).err}`);
    await sleep(2);
  }
}

describe("a run that is killed", () => {
  test.each([
    [
      "few-shots",
      fewShots,
      (place: string) => at(place),
      "composition.safetensors",
      ["composition.safetensors", "learned_composition.json", "run.json", "splits.json"],
    ],
    [
      "few-shots with a joint adapter",
      (run: string, ...more: string[]) => fewShots(run, "--adapter", "tip", ...more),
      (place: string) => at(place),
      "adapter.safetensors",
      ["adapter.safetensors", "composition.safetensors", "learned_composition.json", "run.json", "splits.json"],
    ],
    [
      "few-shots with partitions",
      (run: string, ...more: string[]) => fewShots(run, "--partition", "3", ...more),
      (place: string) => at(place),
      "composition.safetensors",
      ["composition.safetensors", "learned_composition.json", "run.json", "splits.json"],
    ],
    [
      "ufm",
      ufm,
      (place: string) => at(place),
      "composition.safetensors",
      ["composition.safetensors", "learned_composition.json", "run.json"],
    ],
    [
      "finetune",
      finetune,
      (place: string) => at(place, "tiny", "swatchesVal"),
      "finetuned.safetensors",
      ["finetuned.safetensors", "run.json"],
    ],
  ] as const)(
    "ends with the same bytes after --resume: %s",
    async (name, command, folderOf, result, files) => {
      const whole = command(`${name}-whole`).ended;
      const place = `${name}-killed`;
      const state = join(folderOf(place), "state.safetensors");
      const random = new Random(name);

      const kill = async (child: Child): Promise<void> => {
        child.process.kill("SIGKILL");
        expect((await child.ended).signal).toBe("SIGKILL");
      };
      const first = command(place);
      await nextWrite(state, first);
      await kill(first);
      // Somewhere in an epoch, or while its state is being written.
      for (const longest of [10, 50]) {
        const child = command(place, "--resume");
        await nextWrite(state, child);
        await sleep(random.between(0, longest));
        await kill(child);
      }
      // Before the first step.
      const last = command(place, "--resume");
      await sleep(random.between(0, 300));
      await kill(last);
      expect(await command(place, "--resume").ended).toMatchObject({ status: 0 });

      expect(await whole).toMatchObject({ status: 0 });
      const bytes = (run: string): Buffer => readFileSync(join(folderOf(run), result));
      expect(bytes(place).equals(bytes(`${name}-whole`))).toBe(true);
      expect(filesIn(folderOf(place))).toEqual(files);
      const epochs = async (run: string): Promise<unknown> => (await readRun(join(folderOf(run), "run.json"))).epochs;
      expect(await epochs(place)).toEqual(await epochs(`${name}-whole`));
    },
    180_000,
  );

  test("by SIGINT ends with status 130, says how to go on, and keeps its state", async () => {
    const child = fewShots("interrupted");
    await nextWrite(at("interrupted", "state.safetensors"), child);
    child.process.kill("SIGINT");
    const { status, err } = await child.ended;
    expect(status).toBe(130);
    expect(err).toMatch(/^atlas: stopped .*\. The same command with --resume goes on from there\.\n$/);
    expect(filesIn(at("interrupted"))).toEqual(["state.safetensors"]);
  });
});

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
    const { status, out, err } = await fewShots("with-demo", "--adapter", "demo", "--epochs", "1").ended;
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toContain("with demo");
  });

  test("shows no greeting of a library", async () => {
    writeFileSync(at("backend.mjs"), BACKEND);
    const flags = ["--model", "models/tiny", "--target", "swatches", "--plugin", "./backend.mjs", "--backend", "tfjs-cpu"];
    expect(await start(folder.path, "eval", ...flags).ended).toMatchObject({ status: 0, err: "" });
  });
});
