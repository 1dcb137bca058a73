import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { InputError } from "@atlas-tv/core";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memorySource, openCheckpoint, openTensors, PickleError } from "../src/node.js";
import { readPickle } from "../src/unpickler.js";
import { archive, legacy } from "./hostile/good-files.js";
import { CORPUS, writeHostile } from "./hostile/write-corpus.js";

/** What every file of the corpus must stay below, in seconds of the processor, which a busy machine does not lengthen much. */
const MAX_CPU_SECONDS = 2;
const MAX_GROWTH_MIB = 200;

const folder = mkdtempSync(join(tmpdir(), "atlas-hostile-"));
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

interface Opened {
  readonly files: readonly { readonly error: { name: string; fault: string; typed: boolean } | null; readonly cpuSeconds: number }[];
  readonly growth: number;
}

describe("a hostile file ends in a typed error within two seconds of the processor:", () => {
  let opened: Opened;
  beforeAll(async () => {
    const paths = CORPUS.map((file) => writeHostile(folder, file));
    const program = fileURLToPath(new URL("hostile/open-each.mjs", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", program, ...paths], { maxBuffer: 1 << 24 });
    opened = JSON.parse(stdout) as Opened;
  });

  test.each(CORPUS.map((file, index) => [file.title, file.error, index] as const))("%s", (_title, error, index) => {
    const { error: thrown, cpuSeconds } = opened.files[index]!;
    expect(thrown).not.toBeNull();
    expect(`${thrown!.name} ${thrown!.fault}`.trim()).toBe(error);
    expect(thrown!.typed).toBe(true);
    expect(cpuSeconds).toBeLessThan(MAX_CPU_SECONDS);
  });

  test("none of them takes 200 MB", () => {
    expect(opened.growth).toBeLessThan(MAX_GROWTH_MIB);
  });
});

test("every title of the corpus names one fault", () => {
  expect(new Set(CORPUS.map(({ title }) => title)).size).toBe(CORPUS.length);
});

/** Opens bytes and reads all of their tensors. */
async function readAll(bytes: Uint8Array): Promise<void> {
  const { tensors } = await openTensors(memorySource(bytes), "file");
  for (const tensor of tensors.values()) await tensor.bytes();
}

async function refusal(bytes: Uint8Array): Promise<unknown> {
  return readAll(bytes).then(() => null, (error: unknown) => error);
}

describe.each([["an archive", archive()], ["an old file", legacy()]])("%s", (_title, whole) => {
  test("is read when nothing is wrong with it", async () => {
    expect(await refusal(whole)).toBeNull();
  });

  test("is refused when it is cut, wherever that is", async () => {
    for (let length = 0; length < whole.length; length++) {
      expect(await refusal(whole.subarray(0, length)), `${length} bytes`).toBeInstanceOf(InputError);
    }
  });

  test("is read or refused, and nothing else, whatever bytes are changed, left out or put in", async () => {
    const change = fc.record({ at: fc.nat(whole.length - 1), remove: fc.nat(9), insert: fc.uint8Array({ maxLength: 9 }) });
    await fc.assert(fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      let bytes = whole;
      for (const { at, remove, insert } of changes) bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
      const error = await refusal(bytes);
      if (error !== null) expect(error).toBeInstanceOf(InputError);
    }), { numRuns: 2_000 });
  });
});

describe("a pickle", () => {
  /** Operations that are likely to go on, so that more than the first few bytes are tried. */
  const operation = fc.oneof(
    fc.constantFrom(..."(NK\x01)]}\x85\x86\x87tldsuae0122bRQ\x81\x88\x89".split(""), "X\x01\0\0\0a", "K\x05", "q\x01", "h\x01", "ccollections\nOrderedDict\n", "ctorch\nFloatStorage\n"),
    fc.string({ maxLength: 2, unit: "binary" }),
  );

  test("is data or refused, and nothing else, whatever operations it holds", () => {
    fc.assert(fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      try {
        readPickle(Buffer.from(`\x80\x02${operations.join("")}.`, "latin1"), "file");
      } catch (error) {
        expect(error).toBeInstanceOf(PickleError);
      }
    }), { numRuns: 5_000 });
  });
});

test("no file of the corpus has run what it names", async () => {
  for (const file of CORPUS.filter(({ error }) => error.endsWith("forbidden-global"))) {
    const path = writeHostile(folder, file);
    await expect(openCheckpoint(path)).rejects.toThrow(/nothing was called/);
  }
});
