import { readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ReferenceFile } from "../src/reference-file.js";
import { filesIn, temporaryFolder } from "./command-line.js";

const NAME = "learned_composition.json";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

/** Adds the result of a run on one target. */
async function add(target: string): Promise<void> {
  const document = join(folder.path, `${target}.json`);
  writeFileSync(document, JSON.stringify({ [target]: 0.5 }));
  await (await ReferenceFile.open(join(folder.path, "save"), "model", NAME)).add(document);
}

const collected = (): unknown => JSON.parse(readFileSync(join(folder.path, "save", "model", NAME), "utf8"));

describe("a file that collects the results of many runs", () => {
  test("loses none of those that end at the same time", async () => {
    const targets = Array.from({ length: 12 }, (_, run) => `target ${run}`);
    await Promise.all(targets.map(add));
    expect(Object.keys(collected() as object).sort()).toEqual([...targets].sort());
    expect(filesIn(join(folder.path, "save"))).toEqual([join("model", NAME)]);
  });

  test("does not wait for a run that was killed while it added its own", async () => {
    await add("first");
    const lock = join(folder.path, "save", "model", `.${NAME}.lock`);
    writeFileSync(lock, "");
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(lock, longAgo, longAgo);
    await add("second");
    expect(collected()).toEqual({ first: 0.5, second: 0.5 });
    expect(filesIn(join(folder.path, "save"))).toEqual([join("model", NAME)]);
  });
});
