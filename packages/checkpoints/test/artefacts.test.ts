import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError, type EpochRecord, type LearnerState } from "@atlas-tv/core";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  decodeState, encodeSafetensors, encodeState, hashJson, hashSplits, memorySource, rawAndClamped,
  readComposition, readRun, readSplits, readState, requireSameSources, runSchema,
  writeComposition, writeFileAtomically, writeRun, writeSplits, writeState,
  type CompositionArtefact, type DatasetSplit, type RunRecord,
} from "../src/node.js";
import { collect } from "./raw-safetensors.js";

let folder: string;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), "atlas-artefacts-")); });
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

const HASH = "0123456789abcdef".repeat(4);
const OTHER = "f".repeat(64);

async function factsOf(work: Promise<unknown>): Promise<InputError["facts"]> {
  const error: unknown = await work.then(() => null, (caught: unknown) => caught);
  if (!(error instanceof InputError)) throw new Error(`expected an InputError, got ${String(error)}`);
  return error.facts;
}

describe("composition.safetensors", () => {
  const artefact: CompositionArtefact = {
    coefficients: { coef: Float32Array.of(0.1, -0, 1e-40, 3, -4, 5) },
    shapes: { coef: [2, 3] },
    composition: "blockwise",
    mode: "standard",
    blocks: ["visual.proj", "visual.conv1.weight", 'odd "name"'],
    taskVectors: [{ name: "A", sha256: HASH }, { name: "B", sha256: OTHER }],
    base: { name: "zeroshot", sha256: HASH },
    model: { vision_cfg: { width: 24 }, quick_gelu: true },
    seed: 7,
  };

  test.each([artefact, { ...artefact, maskSeed: "seven", seed: "s", mode: "linearised" as const }])("is read back as it was written", async (written) => {
    const path = join(folder, "composition.safetensors");
    await writeComposition(path, written);
    expect(await readComposition(path)).toEqual(written);
  });

  test.each([
    ["NaN among the coefficients", { coefficients: { coef: Float32Array.of(NaN, 0, 0, 0, 0, 0) } }, "NaN"],
    ["a shape that does not fit", { shapes: { coef: [2, 2] } }, "6 values"],
    ["no shape", { shapes: {} }, "no shape"],
    ["a hash that is none", { base: { name: "zeroshot", sha256: "abc" } }, "SHA-256"],
  ])("with %s is not written", async (_title, change, names) => {
    const path = join(folder, "never.safetensors");
    expect(JSON.stringify(await factsOf(Promise.resolve().then(() => writeComposition(path, { ...artefact, ...change }))))).toContain(names);
    expect(readdirSync(folder)).not.toContain("never.safetensors");
  });

  const header = { format: "atlas-composition", version: "1" };
  const coef = new Map([["coef", { dtype: "F32" as const, shape: [1], data: new Float32Array(1) }]]);

  test.each([
    ["a checkpoint", {}, { got: "a safetensors file of 1 tensors", expected: "a learned composition" }],
    ["a task vector", { format: "atlas-task-vector" }, { got: "a task vector", expected: "a learned composition" }],
    ["a later version", { ...header, version: "2" }, { got: "version 2", expected: "version 1" }],
    ["metadata without a seed", header, { expected: "atlas-composition" }],
    ["blocks that are not JSON", { ...header, composition: "blockwise", mode: "standard", blocks: "[" }, { where: 'field "blocks"', got: "not JSON" }],
  ])("%s is refused: what it is, and what was expected", async (_title, metadata, expected) => {
    const path = join(folder, "wrong.safetensors");
    await writeFileAtomically(path, encodeSafetensors(coef, metadata));
    const facts = await factsOf(readComposition(path));
    expect(facts.where).toContain(path);
    for (const [fact, text] of Object.entries(expected)) expect(facts[fact as keyof typeof facts]).toContain(text);
  });

  test("a JSON file is refused", async () => {
    const path = join(folder, "some.json");
    writeFileSync(path, "{}");
    expect((await factsOf(readComposition(path))).got).toContain("JSON");
  });

  test("is refused for other files than those it was learned from", async () => {
    const given = { base: artefact.base, taskVectors: artefact.taskVectors, blocks: artefact.blocks };
    expect(() => { requireSameSources(artefact, given, "c"); }).not.toThrow();
    expect(() => { requireSameSources(artefact, { ...given, base: { name: "x", sha256: OTHER } }, "c"); }).toThrow("base model");
    expect(() => { requireSameSources(artefact, { ...given, taskVectors: [] }, "c"); }).toThrow("task vectors");
    expect(() => { requireSameSources(artefact, { ...given, taskVectors: [...artefact.taskVectors].reverse() }, "c"); }).toThrow("task vector 1");
    expect(() => { requireSameSources(artefact, { ...given, blocks: artefact.blocks.slice(0, 2) }, "c"); }).toThrow("block 3");
    expect(() => { requireSameSources(artefact, { ...given, blocks: [...artefact.blocks, "more"] }, "c"); }).toThrow("block 4");
  });
});

describe("run.json", () => {
  const record: RunRecord = {
    command: "few-shots",
    options: { target: "MNIST", subsample: "4", nested: { list: [1, null, "x"] } },
    seed: 1,
    backend: { id: "cpu", device: "a processor" },
    versions: { node: "20" },
    hashes: { base: HASH, taskVectors: { A: OTHER }, splits: null },
    zeroShot: { accuracy: 0.5 },
    epochs: [{ epoch: 1, step: 10, loss: 0.25, metrics: rawAndClamped({ accuracy: 0.4 }, { accuracy: 0.5 }), selected: false }],
    final: rawAndClamped({ accuracy: 0.6, control: 0.3 }, { accuracy: 0.5 }),
    seconds: 1.5,
    peakMemoryBytes: 123456789,
  };

  test("is read back as it was written, and the exported schema accepts the file", async () => {
    const path = join(folder, "run.json");
    await writeRun(path, record);
    expect(await readRun(path)).toEqual(record);
    expect(runSchema.parse(JSON.parse(readFileSync(path, "utf8")))).toMatchObject({ format: "atlas-run", schemaVersion: 1 });
  });

  test("metrics are clamped from below by zero-shot, and only where there is a zero-shot value", () => {
    expect(record.epochs[0]!.metrics).toEqual({ accuracy: { raw: 0.4, clamped: 0.5 } });
    expect(record.final).toEqual({ accuracy: { raw: 0.6, clamped: 0.6 }, control: { raw: 0.3, clamped: null } });
  });

  test.each([
    ["a loss that is NaN", { epochs: [{ ...record.epochs[0]!, loss: NaN }] }, "epochs.0.loss"],
    ["an infinite option", { options: { clip: Infinity } }, "options.clip"],
    ["a hash that is none", { hashes: { ...record.hashes, base: "x" } }, "hashes.base"],
    ["half a byte", { peakMemoryBytes: 0.5 }, "peakMemoryBytes"],
  ])("with %s is not written; the message names the field", async (_title, change, field) => {
    expect((await factsOf(Promise.resolve().then(() => writeRun(join(folder, "never.json"), { ...record, ...change })))).where).toContain(field);
    expect(readdirSync(folder)).not.toContain("never.json");
  });

  test("a field that is misspelt is refused when read", async () => {
    const path = join(folder, "misspelt.json");
    await writeRun(path, record);
    writeFileSync(path, readFileSync(path, "utf8").replace('"seconds"', '"second"'));
    expect((await factsOf(readRun(path))).where).toContain("seconds");
  });

  test("splits in its place are refused", async () => {
    const path = join(folder, "splits-as-run.json");
    await writeSplits(path, []);
    const facts = await factsOf(readRun(path));
    expect([facts.got, facts.expected]).toEqual([expect.stringContaining("the splits of a run"), expect.stringContaining("the record of a run")]);
  });
});

describe("splits.json", () => {
  const split: DatasetSplit = {
    name: "MNIST",
    size: 10,
    seed: 0,
    train: Int32Array.of(3, 1, 9, 0, 2),
    validation: Int32Array.of(8, 5),
    shots: [{ seed: 1, subsample: "2", indices: Int32Array.of(9, 3) }, { seed: 2, subsample: "0.25", indices: Int32Array.of(0) }],
  };

  test("is read back as it was written", async () => {
    const path = join(folder, "splits.json");
    await writeSplits(path, [split]);
    expect(await readSplits(path)).toEqual([split]);
  });

  test("its hash depends on every part, and on nothing else", async () => {
    const hash = await hashSplits([split]);
    const { name, ...rest } = split;
    expect(await hashSplits([{ ...rest, name }])).toBe(hash);
    const changes: Partial<DatasetSplit>[] = [{ name: "x" }, { size: 11 }, { seed: 1 }, { train: Int32Array.of(1) }, { validation: Int32Array.of(8) }, { shots: [] }];
    for (const change of changes) expect(await hashSplits([{ ...split, ...change }])).not.toBe(hash);
  });

  test("that was edited by hand is refused", async () => {
    const path = join(folder, "edited.json");
    await writeSplits(path, [split]);
    writeFileSync(path, readFileSync(path, "utf8").replace("[8,5]", "[8,6]"));
    expect((await factsOf(readSplits(path))).expected).toContain("as the file says");
  });

  test.each([
    ["an index out of range", { train: Int32Array.of(10) }, "index 10"],
    ["an index in both parts", { validation: Int32Array.of(9) }, "index 9 in train and in validation"],
    ["an index twice", { train: Int32Array.of(1, 1) }, "twice"],
    ["a shot from validation", { shots: [{ seed: 1, subsample: "1", indices: Int32Array.of(8) }] }, "index 8 in the shots"],
  ])("with %s is not written", async (_title, change, got) => {
    expect((await factsOf(writeSplits(join(folder, "never.json"), [{ ...split, ...change }]))).got).toContain(got);
  });
});

describe("state.safetensors", () => {
  const bits = fc.array(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 8 });
  const floats = bits.map((words) => new Float32Array(Uint32Array.from(words).buffer));
  const metrics = fc.dictionary(fc.string().filter((name) => name !== "__proto__"), fc.double(), { noNullPrototype: true, maxKeys: 3 });
  const record: fc.Arbitrary<EpochRecord> = fc.record({ epoch: fc.nat(), step: fc.nat(), loss: fc.double(), metrics, selected: fc.boolean() });
  const group = (sizes: readonly number[]): fc.Arbitrary<Record<string, Float32Array>> =>
    fc.tuple(...sizes.map((size) => fc.array(fc.integer({ min: 0, max: 0xffffffff }), { minLength: size, maxLength: size })))
      .map((arrays) => Object.fromEntries(arrays.map((words, i) => [`coef${i}`, new Float32Array(Uint32Array.from(words).buffer)])));
  const state: fc.Arbitrary<LearnerState> = fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 3 }).chain((sizes) => fc.record({
    epoch: fc.nat(),
    step: fc.nat(),
    values: group(sizes),
    optimiser: fc.record({ count: fc.nat(), firstMoments: group(sizes), secondMoments: group(sizes) }),
    best: fc.option(fc.record({ values: group(sizes), record })),
    history: fc.array(record, { maxLength: 3 }),
  }));

  /** Bits of every array: two NaN may differ. */
  function bitsOf(saved: LearnerState): unknown {
    const words = (arrays: Readonly<Record<string, Float32Array>>): unknown =>
      Object.entries(arrays).map(([name, values]) => [name, [...new Uint32Array(values.slice().buffer)]]);
    const { values, optimiser, best } = saved;
    return [words(values), words(optimiser.firstMoments), words(optimiser.secondMoments), best === null ? null : words(best.values)];
  }

  test("is read back bit for bit: arrays with any bits, numbers with any value", async () => {
    await fc.assert(fc.asyncProperty(state, fc.string(), async (saved, optionsHash) => {
      const bytes = await collect(encodeState({ state: saved, optionsHash }));
      const read = await decodeState(memorySource(bytes), "state");
      expect(bitsOf(read.state)).toEqual(bitsOf(saved));
      expect(read).toEqual({ state: saved, optionsHash });
      expect(await collect(encodeState(read))).toEqual(bytes);
    }));
  });

  test("on disk is read back too", async () => {
    const path = join(folder, "state.safetensors");
    const [saved] = fc.sample(state, 1);
    await writeState(path, { state: saved!, optionsHash: HASH });
    expect(await readState(path)).toEqual({ state: saved, optionsHash: HASH });
  });

  test("without its moments is refused", async () => {
    const [values] = fc.sample(floats.filter((array) => array.length > 0), 1);
    const about = { format: "atlas-state", version: "1", options_hash: "", state: JSON.stringify({ epoch: 1, step: 1, count: 1, best: null, history: [] }) };
    const bytes = await collect(encodeSafetensors(new Map([["values.coef", { dtype: "F32" as const, shape: [values!.length], data: values! }]]), about));
    expect((await factsOf(decodeState(memorySource(bytes), "state"))).where).toContain("first_moments");
  });
});

test("hashJson does not depend on the order of names, and depends on everything else", async () => {
  const hash = await hashJson({ a: 1, b: { c: [1, 2], d: null } });
  expect(await hashJson({ b: { d: null, c: [1, 2] }, a: 1 })).toBe(hash);
  expect(await hashJson({ b: { d: null, c: [2, 1] }, a: 1 })).not.toBe(hash);
});
