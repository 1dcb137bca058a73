import { mkdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RunClaim } from "../src/run-claim.js";
import { atlas, filesIn, start, temporaryFolder } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { expectRefusal } from "./refusals.js";
import { writeTinyModel } from "./tiny-model.js";

let folder: ReturnType<typeof temporaryFolder>;
let lock: string;
beforeEach(() => {
  folder = temporaryFolder();
  lock = join(folder.path, "run", ".run.lock");
});
afterEach(() => {
  folder.remove();
});

const left = (owner: unknown): void => {
  mkdirSync(join(folder.path, "run"), { recursive: true });
  symlinkSync(JSON.stringify(owner), lock);
};

describe("the claim to a run folder", () => {
  test("leaves nothing behind, and no folder that it made and nothing came into", async () => {
    const claim = await RunClaim.take(lock, "--run");
    expect(JSON.parse(readlinkSync(lock))).toMatchObject({ host: hostname(), pid: process.pid });
    writeFileSync(join(folder.path, "run", "result"), "");
    await claim.release();
    expect(filesIn(folder.path)).toEqual([join("run", "result")]);

    await (await RunClaim.take(join(folder.path, "other", ".run.lock"), "--run")).release();
    mkdirSync(join(folder.path, "own"));
    await (await RunClaim.take(join(folder.path, "own", ".run.lock"), "--run")).release();
    expect(() => mkdirSync(join(folder.path, "own"))).toThrow("EEXIST");
    expect(() => mkdirSync(join(folder.path, "other"))).not.toThrow();
  });

  test.each([
    ["another machine", { host: "elsewhere", pid: process.ppid, started: null }],
    ["a process whose number another one has now", { host: hostname(), pid: process.ppid, started: "a long time ago" }],
    ["somebody else, for another purpose", "elsewhere"],
  ])("of %s counts for nothing", async (_whose, owner) => {
    left(owner);
    const claim = await RunClaim.take(lock, "--run");
    expect(JSON.parse(readlinkSync(lock))).toMatchObject({ pid: process.pid });
    await claim.release();
  });
});

test("a second run is kept out of the folder of one that goes on, and let in when that was killed", async () => {
  await writeTinyModel(join(folder.path, "models", "tiny"));
  writePictures(join(folder.path, "swatches"), ["blue", "green", "red"], { train: 20 });
  const run = (...more: string[]): string[] => [
    "few-shots", "--checkpoints", join(folder.path, "models"), "--model", "tiny", "--target", join(folder.path, "swatches"), "--subsample", "2",
    "--run", join(folder.path, "run"), "--quiet", ...more,
  ];
  const first = start(folder.path, ...run("--epochs", "1000", "--batch-size", "4"));
  while (!filesIn(folder.path).includes(join("run", ".run.lock"))) await sleep(5);
  expectRefusal(await atlas(...run("--resume", "--epochs", "1")), "is at work in", "--run");
  first.process.kill("SIGKILL");
  await first.ended;
  expect(filesIn(folder.path)).toContain(join("run", ".run.lock"));
  await (await RunClaim.take(lock, "--run")).release();
});
