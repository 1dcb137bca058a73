import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "@atlas-tv/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { filesIn, start, temporaryFolder, type Child } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { writeTinyModel } from "./tiny-model.js";

/** How often each run is killed; `npm run check:interruptions` asks for more. */
const KILLS = Number(process.env["ATLAS_KILLS"] ?? 2);
const SEED = process.env["ATLAS_KILL_SEED"] ?? "kills";

/** Long enough to be killed in the middle of several times. */
const EPOCHS = 30;

/** Epochs that pass, at most, between a new state and a kill. */
const LONGEST = 4;

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  for (const name of ["swatches", "Alpha", "Beta"]) writePictures(at(name), ["blue", "green", "red"], { train: 20 });
});
afterAll(folder.remove);

/** Begins a command in a place of its own; all paths are relative to the folder that the program is called in. */
type Begin = (place: string, ...more: string[]) => Child;

const learning = (command: string, flag: string, given: readonly string[]): Begin => (place, ...more) =>
  start(folder.path, ...command.split(" "), "--checkpoints", "models", "--model", "tiny", ...given, flag, place, "--quiet", ...more);
const epochs = (batchSize: number, lr: string): string[] => ["--epochs", String(EPOCHS), "--batch-size", String(batchSize), "--lr", lr];

const FEW_SHOTS = ["--target", "swatches", "--subsample", "2", ...epochs(4, "0.1")];
const FINETUNE = ["--target", "swatches", ...epochs(8, "1e-3")];
const NEGATION = ["--target", "Beta", "--control", "swatches", "--control-threshold", "0"];
const RUN = (place: string): string => at(place);
const CHECKPOINTS = (place: string): string => at(place, "tiny", "swatchesVal");

/** A point each instead of epochs, as many of them. */
const POINTS = ["--points", String(EPOCHS)];

/** What is killed, and the folder that it writes to. */
const COMMANDS: [string, Begin, (place: string) => string][] = [
  ["few-shots with a joint adapter", learning("few-shots", "--run", [...FEW_SHOTS, "--adapter", "tip"]), RUN],
  ["few-shots with partitions", learning("few-shots", "--run", [...FEW_SHOTS, "--partition", "3"]), RUN],
  ["ufm", learning("ufm", "--run", ["--target", "swatches", ...epochs(16, "0.1")]), RUN],
  ["negation", learning("negation", "--run", [...NEGATION, ...epochs(4, "0.05")]), RUN],
  ["addition", learning("addition", "--run", ["--targets", "Alpha,Beta", ...epochs(4, "0.05")]), RUN],
  ["finetune", learning("finetune", "--save", FINETUNE), CHECKPOINTS],
];

const MORE_COMMANDS: typeof COMMANDS = [
  ["search negation", learning("search negation", "--run", [...NEGATION, ...POINTS]), RUN],
  ["search addition", learning("search addition", "--run", ["--targets", "Alpha,Beta", ...POINTS]), RUN],
  ["few-shots", learning("few-shots", "--run", FEW_SHOTS), RUN],
  ["few-shots on a budget", learning("few-shots", "--run", [...FEW_SHOTS, "--budget", "2"]), RUN],
  ["few-shots, linearised", learning("few-shots", "--run", [...FEW_SHOTS, "--finetuning-mode", "posthoc"]), RUN],
  ["finetune, linearised", learning("finetune", "--save", [...FINETUNE, "--finetuning-mode", "linear"]), CHECKPOINTS],
  ["finetune of low rank", learning("finetune", "--save", [...FINETUNE, "--lora-rank", "2"]), CHECKPOINTS],
];

/** When a file was last written, 0 for one that is not there. */
const writtenAt = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const hasEnded = ({ process: { exitCode, signalCode } }: Child): boolean => exitCode !== null || signalCode !== null;

/** Waits until a running program writes a state anew, or ends. @returns milliseconds. */
async function nextState(folderOfRun: string, child: Child): Promise<number> {
  const paths = ["state.safetensors", "linear_state.safetensors"].map((name) => join(folderOfRun, name));
  const written = (): number => Math.max(...paths.map(writtenAt));
  const [began, before] = [performance.now(), written()];
  while (written() === before && !hasEnded(child)) await sleep(2);
  return performance.now() - began;
}

/** What a finished run left: every file, and of its record all but what was measured of the machine and said on the way. */
function results(folderOfRun: string): Record<string, string> {
  return Object.fromEntries(
    filesIn(folderOfRun).map((name): [string, string] => {
      const bytes = readFileSync(join(folderOfRun, name));
      if (!name.endsWith("run.json")) return [name, bytes.toString("base64")];
      const { seconds: _seconds, peakMemoryBytes: _peak, notes: _notes, ...record } = JSON.parse(bytes.toString()) as Record<string, unknown>;
      return [name, JSON.stringify(record)];
    }),
  );
}

/** How often a command was killed, and how often it came to its end. */
interface Survival {
  kills: number;
  ends: number;
}

/**
 * Kills a command at random moments, begins it again with `--resume` each time, and lets it end after the last kill. Where it
 * ends of its own before that, it begins anew. Every end must leave the bytes of the run that was never killed.
 */
async function survive(name: string, begin: Begin, folderOf: (place: string) => string): Promise<Survival> {
  const random = new Random(SEED).fork(name);
  const [whole, place] = [`${name} whole`, `${name} killed`];
  const first = begin(whole);
  const began = performance.now();
  const untilFirstState = await nextState(folderOf(whole), first);
  expect(await first.ended).toMatchObject({ status: 0 });
  const epoch = (performance.now() - began - untilFirstState) / EPOCHS;
  const expected = results(folderOf(whole));

  const survival: Survival = { kills: 0, ends: 0 };
  const finish = async (child: Child): Promise<void> => {
    expect(await child.ended).toMatchObject({ status: 0 });
    expect(results(folderOf(place))).toEqual(expected);
    rmSync(at(place), { recursive: true, force: true });
    survival.ends++;
  };
  while (survival.kills < KILLS) {
    const child = begin(place, "--resume");
    // Before the first step, or within the epochs after a state; the first time there shall be a state to go on from.
    if (survival.kills > 0 && random.below(3) === 0) await sleep(random.between(0, untilFirstState));
    else {
      await nextState(folderOf(place), child);
      await sleep(random.between(0, LONGEST * epoch));
    }
    child.process.kill("SIGKILL");
    if ((await child.ended).signal === "SIGKILL") survival.kills++;
    else await finish(child);
  }
  await finish(begin(place, "--resume"));
  return survival;
}

/** Whether a program has a file open; null where the system does not tell. */
function reads({ process: { pid } }: Child, path: string): boolean | null {
  const open = `/proc/${pid}/fd`;
  if (!existsSync("/proc/self/fd")) return null;
  return existsSync(open) && readdirSync(open).some((fd) => {
    try {
      return readlinkSync(join(open, fd)) === path;
    } catch {
      return false;
    }
  });
}

describe("a run that is killed at random moments", () => {
  test.each(KILLS > 3 ? [...COMMANDS, ...MORE_COMMANDS] : COMMANDS)(
    "ends with the same bytes after --resume: %s",
    async (name, begin, folderOf) => {
      const { kills, ends } = await survive(name, begin, folderOf);
      if (KILLS > 3) console.log(`${name}: killed ${kills} times, ended ${ends} times with the same bytes`);
    },
    60_000 + 20_000 * KILLS,
  );

  test("by SIGINT ends with status 130, says how to go on, and keeps its state", async () => {
    const child = learning("few-shots", "--run", FEW_SHOTS)("interrupted");
    await nextState(at("interrupted"), child);
    child.process.kill("SIGINT");
    const { status, err } = await child.ended;
    expect(status).toBe(130);
    expect(err).toMatch(/^atlas: stopped .*\. The same command with --resume goes on from there\.\n$/);
    expect(filesIn(at("interrupted"))).toEqual(["state.safetensors"]);
  });

  test("by SIGINT ends at once where there is no state to keep", async () => {
    // As many zeros as take seconds to hash, and no room on the disk.
    const size = 6 * 2 ** 30;
    const header = JSON.stringify({ zeros: { dtype: "F32", shape: [size / 4], data_offsets: [0, size] } }).padEnd(128);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    writeFileSync(at("zeros.safetensors"), Buffer.concat([length, Buffer.from(header)]));
    truncateSync(at("zeros.safetensors"), 8 + header.length + size);
    const child = start(folder.path, "inspect", "zeros.safetensors");
    while (reads(child, at("zeros.safetensors")) === false) await sleep(20);
    if (reads(child, at("zeros.safetensors")) === null) await sleep(3000);
    child.process.kill("SIGINT");
    expect(await child.ended).toMatchObject({ status: null, signal: "SIGINT", out: "" });
  });
});
