import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readRun } from "@atlas-tv/checkpoints";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { atlas, filesIn, temporaryFolder } from "../packages/cli/test/command-line.js";
import { writePictures } from "../packages/cli/test/picture-folder.js";
import { checkpointFacts, fixtureJson, fixturePath } from "../packages/core/test/fixture-files.js";
import { ROOT } from "../scripts/toolchain.mjs";
import { shellCommands } from "./shell-fences.js";

const folder = temporaryFolder();
const before = process.cwd();

const TASKS = ["Cars", "DTD", "EuroSAT", "GTSRB", "MNIST", "RESISC45", "SUN397", "SVHN"];

function copy(fixture: string, ...to: string[]): void {
  const path = join(folder.path, "checkpoints", "ViT-B-32", ...to);
  mkdirSync(dirname(path), { recursive: true });
  copyFileSync(fixturePath(`checkpoints/${fixture}`), path);
}

/** The layout of docs/reproduction.md, with modules that the released code's classes were saved to, and small pictures. */
beforeAll(() => {
  const { vectors } = checkpointFacts();
  const { classes_per_head: classes } = fixtureJson<{ classes_per_head: number[] }>("checkpoints/expected.json");
  copy("zeroshot.pt", "zeroshot.pt");
  TASKS.forEach((task, i) => { copy(`finetuned_${i % vectors}.pt`, `${task}Val`, "finetuned.pt"); });
  for (const task of [...TASKS, "ImageNet"]) {
    copy("head_0.pt", `head_${task}Val.pt`);
    writePictures(join(folder.path, "data", task), Array.from({ length: classes[0]! }, (_, label) => String(label).padStart(3, "0")), { train: 4, test: 1 });
  }
  process.chdir(folder.path);
});

afterAll(() => {
  process.chdir(before);
  folder.remove();
});

/** The first command line of every kind on the page, by what tells kinds apart: the command, its adapter, its partition. */
function commandLines(): [string, string[]][] {
  const kinds = new Map<string, string[]>();
  for (const [program, ...args] of shellCommands(readFileSync(join(ROOT, "docs", "reproduction.md"), "utf8"))) {
    if (program !== "atlas" || args[0] === "head" || args[0] === "finetune") continue;
    const own = args.filter((word, i) => i < 2 && !word.startsWith("-") || ["--partition", "--no-compose"].includes(word) || args[i - 1] === "--adapter");
    const kind = own.join(" ");
    if (!kinds.has(kind)) kinds.set(kind, args);
  }
  return [...kinds];
}

describe("the command lines of docs/reproduction.md, on checkpoints and pictures laid out as the page says", () => {
  it("are those of the paper's five experiments, the scalar baselines and the adapters alone", () => {
    expect(commandLines().map(([kind]) => kind)).toEqual([
      "negation", "search negation", "addition", "search addition",
      "few-shots", "few-shots tip", "few-shots lpp", "few-shots tip --no-compose", "few-shots lpp --no-compose",
      "ufm", "few-shots --partition",
    ]);
  });

  it.each(commandLines())("%s", async (kind, args) => {
    const run = join("runs", kind);
    // Less of it, and one seed: of several each has a folder of its own.
    const less = args[0] === "search" ? ["--points", "2"] : ["--epochs", "1", "--seed", "1"];
    const { status, err } = await atlas(...args, ...less, "--run", run, "--quiet");
    expect(status, err).toBe(0);
    const { epochs, final } = await readRun(join(run, "run.json"));
    expect(Object.keys(final).length).toBeGreaterThan(0);
    expect(epochs.length).toBe(args.includes("--no-compose") ? 0 : args[0] === "search" ? 2 : 1);
  });

  it("add their results to the files of the released code, those of every number of shots to their own", () => {
    const written = filesIn(join("checkpoints", "ViT-B-32")).filter((name) => name.endsWith(".json"));
    expect(written).toEqual(["additions.json", "learned_additions.json", "learned_negations.json", "negations.json"]);
    const keys = (...folder: string[]): string[] =>
      Object.keys(JSON.parse(readFileSync(join("results", ...folder, "ViT-B-32", "learned_composition.json"), "utf8")) as object);
    expect(keys("1-shots")).toEqual(expect.arrayContaining(["Cars", "Cars_tip", "Cars_lpp"]));
    expect(keys("test-time")).toContain("Cars");
  });
});
