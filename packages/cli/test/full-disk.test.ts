import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { readState } from "@atlas-tv/checkpoints";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EXIT } from "../src/failure.js";
import { atlas, filesIn, interrupted, MAIN, temporaryFolder } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);

let run = "";
let runs = 0;
beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  writePictures(at("swatches"), ["blue", "green", "red"], { train: 20 });
});
beforeEach(() => {
  run = at(`run-${++runs}`);
  mkdirSync(run);
});
afterAll(folder.remove);

/** Runs a shell script on the built program, whose words are `"$@"`. */
function shell(script: string, args: readonly string[], wrapper: readonly string[] = []): { status: number | null; err: string } {
  const [program, ...first] = [...wrapper, "sh", "-c", script, "sh", process.execPath, MAIN, ...args];
  const { status, stderr, error } = spawnSync(program!, first, { cwd: folder.path, encoding: "utf8", env: { ...process.env, RUN: run } });
  if (error !== undefined) throw error;
  return { status, err: stderr };
}

const common = (): string[] => ["--checkpoints", at("models"), "--model", "tiny", "--target", at("swatches"), "--epochs", "3", "--batch-size", "8"];

const bytes = (...path: string[]): string => readFileSync(join(...path)).toString("base64");

/** The words in front of a command that may mount a file system which nobody else sees, or why there are none. */
function privateMounts(): { wrapper: string[] } | { missing: string } {
  const wrapper = ["unshare", "--mount", ...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"])];
  const { status, stderr, error } = spawnSync(wrapper[0]!, [...wrapper.slice(1), "mount", "-t", "tmpfs", "tmpfs", folder.path], { encoding: "utf8" });
  return status === 0 ? { wrapper } : { missing: error?.message ?? stderr.trim() };
}

const PAGE = 4096;

/** Bytes that files take on a disk of pages. */
const onDisk = (paths: readonly string[]): number => paths.reduce((sum, path) => sum + Math.ceil(statSync(path).size / PAGE) * PAGE, 0);

describe("a disk that is full", () => {
  test("loses no finished run and no finished epoch, and the runs go on once there is room", async (context) => {
    const mounts = privateMounts();
    if ("missing" in mounts) context.skip(`a small file system cannot be mounted here: ${mounts.missing}`);
    const { wrapper } = mounts as { wrapper: string[] };
    const command = ["few-shots", ...common(), "--subsample", "2", "--seed", "1,2"];
    expect(await atlas(...command, "--run", at("whole"))).toMatchObject({ status: 0 });
    const results = filesIn(at("whole", "seed-1"));
    expect(await interrupted(...command, "--run", at("begun"))).toBe(EXIT.interrupted);

    // There is room for the first run's results and one state: the second run's second epoch finds none.
    const size = onDisk([...results.map((name) => at("whole", "seed-1", name)), at("begun", "seed-1", "state.safetensors")]);
    mkdirSync(at("disk"));
    const script = `
      mount -t tmpfs -o size=${size} tmpfs disk || exit 99
      "$@"; echo $? > "$RUN/status"
      cp -r disk "$RUN/full"
      mount -o remount,size=64m disk || exit 99
      "$@" --resume 2>/dev/null; echo $? >> "$RUN/status"
      cp -r disk "$RUN/after"`;
    const { status, err } = shell(script, [...command, "--quiet", "--run", "disk"], wrapper);
    expect({ status, statuses: readFileSync(join(run, "status"), "utf8") }).toEqual({ status: 0, statuses: "2\n0\n" });
    expect(err).toMatch(/^atlas: \S*seed-2.state\.safetensors\n {2}got: no space left on the device \(ENOSPC\)\n/);
    expect(err).toMatch(/^ {2}next: make room there.*the state after epoch 1 is kept, and the same command with --resume goes on from it\n$/m);
    expect(filesIn(join(run, "full"))).toEqual([...results.map((name) => join("seed-1", name)), join("seed-2", "state.safetensors")]);
    expect((await readState(join(run, "full", "seed-2", "state.safetensors"))).state).toMatchObject({ epoch: 1 });
    for (const place of ["full/seed-1", "after/seed-1", "after/seed-2"]) {
      const name = join(place.slice(-6), "composition.safetensors");
      expect(bytes(run, place, "composition.safetensors"), place).toBe(bytes(at("whole"), name));
    }
  });

  test("where results are collected keeps the run, whose results are added once there is room", async (context) => {
    const mounts = privateMounts();
    if ("missing" in mounts) context.skip(`a small file system cannot be mounted here: ${mounts.missing}`);
    const { wrapper } = mounts as { wrapper: string[] };
    mkdirSync(at("collected"));
    const script = `
      mount -t tmpfs -o size=${PAGE} tmpfs collected && head -c ${PAGE} /dev/zero > collected/filler || exit 99
      "$@"; echo $? > "$RUN/status"
      rm collected/filler
      "$@" --resume 2>/dev/null; echo $? >> "$RUN/status"
      cp -r collected "$RUN/after"`;
    const command = ["few-shots", ...common(), "--subsample", "2", "--quiet", "--run", join(run, "run"), "--save", "collected"];
    const { status, err } = shell(script, command, wrapper);
    expect({ status, statuses: readFileSync(join(run, "status"), "utf8") }).toEqual({ status: 0, statuses: "2\n0\n" });
    expect(err).toMatch(/^atlas: \S*learned_composition\.json\n {2}got: no space left on the device \(ENOSPC\)\n/);
    expect(err).toMatch(/^ {2}next: make room there.*the run itself is finished, and the same command with --resume adds its results\n$/m);
    const results = (...path: string[]): unknown => JSON.parse(readFileSync(join(run, ...path), "utf8"));
    expect(results("after", "tiny", "learned_composition.json")).toEqual(results("run", "learned_composition.json"));
  });

  test("or a limit on the size of files stops finetune at its file, and keeps the epochs that were finished", async (context) => {
    if (process.platform === "win32") context.skip("Windows has no such limit");
    const command = ["finetune", ...common(), "--lr", "1e-3", "--save"];
    expect(await atlas(...command, at("whole-checkpoints"))).toMatchObject({ status: 0 });
    const place = join(run, "tiny", "swatchesVal");
    const state = join(place, "state.safetensors");
    expect(await interrupted(...command, run)).toBe(EXIT.interrupted);
    const before = readFileSync(state);
    const { status, err } = shell('ulimit -f 0; "$@"', [...command, run, "--resume", "--quiet"]);
    expect(status).toBe(2);
    expect(err).toMatch(/^atlas: \S+state\.safetensors\n {2}got: the file is larger than the system allows \(EFBIG\)\n/);
    expect(err).toMatch(/^ {2}next: raise the limit.*the state after epoch 1 is kept, and the same command with --resume goes on from it\n$/m);
    expect(filesIn(place)).toEqual(["state.safetensors"]);
    expect(readFileSync(state).equals(before)).toBe(true);
    expect(await atlas(...command, run, "--resume")).toMatchObject({ status: 0 });
    expect(bytes(place, "finetuned.safetensors")).toBe(bytes(at("whole-checkpoints", "tiny", "swatchesVal", "finetuned.safetensors")));
  });
});
