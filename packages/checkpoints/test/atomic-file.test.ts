import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "@atlas-tv/core";
import { build } from "esbuild";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assertWritable, sha256File, writeFileAtomically, writeSafetensorsFile } from "../src/node.js";

let folder: string;
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), "atlas-checkpoints-")); });
afterEach(() => { rmSync(folder, { recursive: true, force: true }); });

async function inputErrorOf(work: Promise<unknown>): Promise<InputError> {
  const error: unknown = await work.then(() => null, (caught: unknown) => caught);
  if (!(error instanceof InputError)) throw new Error(`expected an InputError, got ${String(error)}`);
  return error;
}

describe("writeFileAtomically", () => {
  test("writes all chunks, in folders it makes, and says how many bytes of which hash", async () => {
    const path = join(folder, "a", "b", "file.txt");
    const written = await writeFileAtomically(path, ["one ", new TextEncoder().encode("two")]);
    expect(readFileSync(path, "utf8")).toBe("one two");
    expect(written).toEqual({ path, bytes: 7, sha256: createHash("sha256").update("one two").digest("hex") });
    expect(await sha256File(path)).toBe(written.sha256);
    expect(readdirSync(join(folder, "a", "b"))).toEqual(["file.txt"]);
  });

  test("replaces a file whole", async () => {
    const path = join(folder, "file.txt");
    await writeFileAtomically(path, ["a longer old text"]);
    await writeFileAtomically(path, ["new"]);
    expect(readFileSync(path, "utf8")).toBe("new");
  });

  test("a source that fails half-way leaves the old file and nothing else, and its own error comes through", async () => {
    const path = join(folder, "file.txt");
    writeFileSync(path, "old");
    const failure = new Error("source failed");
    const chunks = async function* (): AsyncGenerator<string> { yield "half"; throw failure; };
    await expect(writeFileAtomically(path, chunks())).rejects.toBe(failure);
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["file.txt"]);
  });

  test("two writers of one file at once: one whole text wins, nothing else stays", async () => {
    const path = join(folder, "file.txt");
    const texts = ["a".repeat(1 << 16), "b".repeat(1 << 16)];
    await Promise.all(texts.map((text) => writeFileAtomically(path, [text])));
    expect(texts).toContain(readFileSync(path, "utf8"));
    expect(readdirSync(folder)).toEqual(["file.txt"]);
  });

  test("a folder in the file's place is refused, and nothing is left", async () => {
    const error = await inputErrorOf(writeFileAtomically(folder, ["text"]));
    expect(error.facts.where).toBe(folder);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("a path under a file is refused with the system's reason", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "kept");
    expect((await inputErrorOf(writeFileAtomically(join(file, "x", "y.txt"), ["text"]))).facts.got).toMatch(/E(NOTDIR|EXIST)/);
    expect(readFileSync(file, "utf8")).toBe("kept");
  });
});

describe("a writer killed in the middle", () => {
  /** Writes half of a file, says so, and waits to be killed. */
  async function killHalfWay(path: string): Promise<void> {
    const script = join(folder, "writer.mjs");
    const source = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
    await build({
      stdin: {
        contents: `import { writeFileAtomically } from ${JSON.stringify(source("../src/atomic-file.ts"))};
          async function* chunks() {
            yield new Uint8Array(1 << 20);
            process.stdout.write("half");
            await new Promise((resolve) => setTimeout(resolve, 60_000));
          }
          await writeFileAtomically(process.argv[2], chunks());`,
        resolveDir: folder,
      },
      alias: { "@atlas-tv/core": source("../../core/src/errors.ts") },
      bundle: true, format: "esm", platform: "node", outfile: script, logLevel: "silent",
    });
    const child = spawn(process.execPath, [script, path], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "exit");
    rmSync(script);
  }

  test("leaves the old file whole; the next writer removes what it left", async () => {
    const path = join(folder, "model.safetensors");
    writeFileSync(path, "old and whole");
    await killHalfWay(path);
    expect(readFileSync(path, "utf8")).toBe("old and whole");
    const left = readdirSync(folder).filter((name) => name.endsWith(".tmp"));
    expect(left).toHaveLength(1);

    await writeFileAtomically(join(folder, "other.safetensors"), ["text"]);
    expect(readdirSync(folder)).toContain(left[0]);
    await writeFileAtomically(path, ["new"]);
    expect(readdirSync(folder).sort()).toEqual(["model.safetensors", "other.safetensors"]);
    expect(readFileSync(path, "utf8")).toBe("new");
  });

  test("leaves no file of a check for writing that outlasts the next check", async () => {
    await killHalfWay(join(folder, "probe"));
    expect(readdirSync(folder)).toHaveLength(1);
    await assertWritable(folder);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("the temporary file of a writer that still runs is left alone", async () => {
    const path = join(folder, "file.txt");
    let go: () => void = () => {};
    const wait = new Promise<void>((resolve) => { go = resolve; });
    const slow = writeFileAtomically(path, (async function* () { yield "slow"; await wait; })());
    await writeFileAtomically(path, ["fast"]);
    expect(readdirSync(folder)).toHaveLength(2);
    go();
    await slow;
    expect(readFileSync(path, "utf8")).toBe("slow");
    expect(readdirSync(folder)).toEqual(["file.txt"]);
  });
});

describe("assertWritable", () => {
  test("accepts a folder, and one that does not exist yet, and leaves nothing", async () => {
    await assertWritable(folder);
    await assertWritable(join(folder, "not", "yet"));
    expect(readdirSync(folder)).toEqual([]);
  });

  test("refuses a path under a file", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const { facts } = await inputErrorOf(assertWritable(join(file, "runs")));
    expect(facts.where).toBe(join(file, "runs"));
    expect(facts.got).toContain("is a file");
    expect(facts.next).toBeDefined();
  });

  test.runIf(process.platform === "linux")("refuses a folder that the system does not let us write, with its reason", async () => {
    expect((await inputErrorOf(assertWritable("/proc/runs"))).facts.got).toMatch(/\(E[A-Z]+\)/);
  });
});

describe("writeSafetensorsFile", () => {
  test("the same tensors give the same bytes", async () => {
    const tensors = new Map([["w", { dtype: "F32" as const, shape: [2], data: Float32Array.of(1, 2) }]]);
    const one = await writeSafetensorsFile(join(folder, "one.safetensors"), tensors, { a: "b" });
    const two = await writeSafetensorsFile(join(folder, "two.safetensors"), tensors, { a: "b" });
    expect(one.sha256).toBe(two.sha256);
  });
});
