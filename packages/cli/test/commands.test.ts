import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openModelFolder, readCheckpoint, readRun, writeSafetensorsFile } from "@atlas-tv/checkpoints";
import { readFloat32, widen, type StoredTensor } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { atlas, filesIn, temporaryFolder } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { SPEC, TASKS, writeAbout, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const composition = at("run", "composition.safetensors");
const swatches = (): string[] => ["--target", at("swatches")];
const tiny = (): string[] => ["--checkpoints", at("models"), "--model", "tiny"];

interface Evaluation {
  readonly correct: number;
  readonly total: number;
  readonly accuracy: number;
}

async function evaluate(...args: string[]): Promise<Evaluation> {
  const { status, out, err } = await atlas("eval", "--json", ...args);
  expect(err).toBe("");
  expect(status).toBe(0);
  return JSON.parse(out) as Evaluation;
}

beforeAll(async () => {
  await writeTinyModel(at("models", "tiny"));
  writePictures(at("swatches"), ["blue", "green", "red"], { train: 20, test: 40 });
  expect(
    await atlas(
      "few-shots",
      ...tiny(),
      ...swatches(),
      "--subsample",
      "4",
      "--epochs",
      "4",
      "--batch-size",
      "8",
      "--run",
      at("run"),
    ),
  ).toMatchObject({ status: 0 });
});
afterAll(folder.remove);

describe("atlas doctor", () => {
  test("shows backends, plug-ins, data sets and the model", async () => {
    const { status, out } = await atlas("doctor");
    expect(status).toBe(0);
    for (const text of ["cpu", "linear", "cross-entropy", "MNIST", "mini-clip"]) expect(out).toContain(text);
    // Products and reads of the CPU in giga a second, to three digits.
    expect(out).toMatch(/^cpu +yes +\d[\d.e+]+ +\d[\d.e+]+ /m);
    expect(out).toMatch(/^cpu: onnxruntime-node \d/m);
  });

  test("shows this project's other backends, usable or with what is missing", async () => {
    const { out } = await atlas("doctor");
    for (const id of ["cuda", "webgpu"]) {
      expect(out).toMatch(new RegExp(`^${id} +(yes|no) `, "m"));
      expect(out).toMatch(new RegExp(`^${id}: (missing )?\\S`, "m"));
    }
  });

  test("shows this project's plug-ins that are installed beside it", async () => {
    const { out } = await atlas("doctor");
    for (const line of ["adapters: linear, lpp, tip", "objectives: cross-entropy", "objectives without labels: entropy, ufm", "compositions: isotropic, blockwise, partition"]) {
      expect(out.split("\n")).toContain(line);
    }
  });

  test("--json prints one document", async () => {
    const { out } = await atlas("doctor", "--json");
    const report = JSON.parse(out) as {
      node: string;
      missing: unknown[];
      backends: {
        id: string;
        usable: boolean;
        versions: Record<string, string>;
        missing: string[];
        measured: { flops: number; bytesPerSecond: number } | null;
      }[];
      datasets: { name: string }[];
    };
    expect(report.node).toBe(process.versions.node);
    expect(report.missing).toEqual([]);
    expect(report.backends.map(({ id }) => id).sort()).toEqual(["cpu", "cuda", "webgpu"]);
    expect(report.backends[0]).toMatchObject({ id: "cpu", usable: true, missing: [] });
    for (const { usable, missing, measured } of report.backends) {
      expect(missing.length === 0).toBe(usable);
      expect(measured !== null).toBe(usable);
      for (const rate of Object.values(measured ?? { flops: 1 })) expect(rate).toBeGreaterThan(0);
    }
    expect(Object.keys(report.backends[0]!.versions)).toContain("onnxruntime-node");
    expect(report.datasets.map(({ name }) => name)).toContain("MNIST");
  });
});

describe("atlas inspect", () => {
  test("--json prints one document with format, producer, tensors and hash", async () => {
    const { status, out, err } = await atlas("inspect", at("models", "tiny", "zeroshot.safetensors"), "--json");
    expect({ status, err }).toEqual({ status: 0, err: "" });
    const found = JSON.parse(out) as {
      format: string;
      producer: string;
      sha256: string;
      tensors: { name: string; dtype: string; shape: number[]; bytes: number }[];
    };
    expect(found).toMatchObject({
      format: "safetensors",
      producer: "pt",
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    const block = SPEC.blocks[0]!;
    expect(found.tensors).toContainEqual({
      name: block.name,
      dtype: "F32",
      shape: block.shape,
      bytes: 4 * block.shape.reduce((a, b) => a * b, 1),
    });
  });

  test("says what our own files are", async () => {
    expect((await atlas("inspect", composition)).out).toContain("atlas-composition, by atlas");
    expect((await atlas("inspect", at("run", "run.json"))).out).toContain('"command": "few-shots"');
    expect(JSON.parse((await atlas("inspect", at("run", "splits.json"), "--json")).out)).toMatchObject({
      format: "atlas-splits",
      producer: "atlas",
    });
  });
});

describe("atlas eval", () => {
  test("measures the accuracies that the run recorded", async () => {
    const { zeroShot, final } = await readRun(at("run", "run.json"));
    expect((await evaluate(...tiny(), ...swatches())).accuracy).toBe(zeroShot["test"]);
    expect((await evaluate(...tiny(), ...swatches(), "--composition", composition)).accuracy).toBe(final["test"]!.raw);
  });

  test("measures validation images where it is told to", async () => {
    expect((await evaluate(...tiny(), ...swatches(), "--split", "validation")).total).toBe(6);
  });

  test("leaves no tensor behind", async () => {
    await evaluate(...tiny(), ...swatches(), "--composition", composition);
    const before = tf.memory().numTensors;
    await evaluate(...tiny(), ...swatches(), "--composition", composition);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("atlas merge", () => {
  /** A model folder whose base is a merged checkpoint. */
  const folderOf = async (name: string, ...args: string[]): Promise<string> => {
    writeAbout(at("merged", name));
    cpSync(at("models", "tiny", "head_swatchesVal.safetensors"), at("merged", name, "head_swatchesVal.safetensors"));
    expect(await atlas("merge", ...tiny(), ...args, "--out", at("merged", name, "zeroshot.safetensors"))).toMatchObject({
      status: 0,
      err: "",
    });
    return at("merged", name);
  };

  test("writes a full CLIP that loads as a base and has the composition's accuracy", async () => {
    const merged = await folderOf("composed", "--composition", composition);
    const names = (path: string): Promise<string[]> =>
      readCheckpoint(path, ({ tensors }) => Promise.resolve([...tensors.keys()].sort()));
    expect(await names(join(merged, "zeroshot.safetensors"))).toEqual(await names(at("models", "tiny", "zeroshot.safetensors")));
    const composed = await evaluate(...tiny(), ...swatches(), "--composition", composition);
    expect(composed.correct).not.toBe((await evaluate(...tiny(), ...swatches())).correct);
    expect(await evaluate("--model", merged, ...swatches())).toMatchObject({ correct: composed.correct, total: composed.total });
    // The text tower came along: a head can be built with it.
    writePictures(at("shapes"), ["red square", "green round"]);
    expect(await evaluate("--model", merged, "--target", at("shapes"))).toMatchObject({ total: 16 });
  });

  test("--scale adds that much of each task vector", async () => {
    const merged = openModelFolder(await folderOf("scaled", "--scale", "0.5", "--task-vectors", "Alpha,Beta"));
    const model = openModelFolder(at("models", "tiny"));
    const [base, sum, alpha, beta] = [
      await model.base(SPEC),
      await merged.base(SPEC),
      await model.taskVector("Alpha", SPEC),
      await model.taskVector("Beta", SPEC),
    ];
    for (const { name } of SPEC.blocks) {
      const [a, b, before, after] = [alpha.blocks.get(name)!, beta.blocks.get(name)!, base.get(name)!, sum.get(name)!].map(
        (tensor) => widen(tensor),
      );
      after!.forEach((value, i) => {
        expect(value).toBeCloseTo(before![i]! + 0.5 * (a![i]! + b![i]!), 5);
      });
    }
  });

  test("--dtype F16 halves the composed blocks and moves them by rounding only", async () => {
    const half = await folderOf("half", "--composition", composition, "--dtype", "F16");
    const whole = await folderOf("whole", "--composition", composition);
    const read = (path: string): Promise<[string, string, Float32Array][]> =>
      readCheckpoint(join(path, "zeroshot.safetensors"), async ({ tensors }) =>
        Promise.all(
          SPEC.blocks.map(async ({ name }): Promise<[string, string, Float32Array]> => [
            name,
            tensors.get(name)!.dtype,
            await readFloat32(tensors.get(name)!),
          ]),
        ),
      );
    const expected = await read(whole);
    for (const [index, [name, dtype, values]] of (await read(half)).entries()) {
      expect([name, dtype]).toEqual([expected[index]![0], "F16"]);
      values.forEach((value, i) => {
        expect(Math.abs(value - expected[index]![2][i]!)).toBeLessThanOrEqual(2 ** -11 * Math.max(Math.abs(value), 2 ** -14));
      });
    }
  });

  test("takes the reference's prefix off the names", async () => {
    await writeTinyModel(at("models", "wrapped"));
    const path = at("models", "wrapped", "zeroshot.safetensors");
    const wrapped = await readCheckpoint(path, async ({ tensors }) =>
      Promise.all(
        [...tensors].map(async ([name, { dtype, shape, bytes }]): Promise<[string, StoredTensor]> => {
          const data = await bytes();
          return [`model.${name}`, { dtype, shape, bytes: () => Promise.resolve(data) }];
        }),
      ),
    );
    await writeSafetensorsFile(path, new Map(wrapped));
    const merge = async (model: string): Promise<[string, string][]> => {
      const out = at("unwrapped", `${model}.safetensors`);
      const flags = ["--checkpoints", at("models"), "--model", model, "--scale", "1", "--task-vectors", "Alpha", "--out", out];
      expect(await atlas("merge", ...flags)).toMatchObject({ status: 0 });
      return readCheckpoint(out, ({ tensors }) =>
        Promise.all(
          [...tensors].map(async ([name, tensor]): Promise<[string, string]> => [name, (await readFloat32(tensor)).join()]),
        ),
      );
    };
    expect(await merge("wrapped")).toEqual(await merge("tiny"));
  });

  test("--json prints what was written", async () => {
    const { out } = await atlas(
      "merge",
      ...tiny(),
      "--scale",
      "1",
      "--task-vectors",
      TASKS.join(","),
      "--out",
      at("all.safetensors"),
      "--json",
    );
    const { path, bytes, sha256 } = JSON.parse(out) as { path: string; bytes: number; sha256: string };
    expect(path).toBe(at("all.safetensors"));
    expect(bytes).toBeGreaterThan(0);
    expect((JSON.parse((await atlas("inspect", path, "--json")).out) as { sha256: string }).sha256).toBe(sha256);
  });
});

describe("atlas finetune", () => {
  const finetune = (save: string, ...more: string[]): ReturnType<typeof atlas> =>
    atlas(
      "finetune",
      ...tiny(),
      ...swatches(),
      "--epochs",
      "2",
      "--batch-size",
      "16",
      "--lr",
      "1e-3",
      "--save",
      at(save),
      ...more,
    );

  test("writes a fine-tuned model that serves as a task vector", async () => {
    cpSync(at("models"), at("mine"), { recursive: true });
    const { status, out } = await finetune("mine", "--json");
    expect(status).toBe(0);
    const { path, zeroShot, accuracy } = JSON.parse(out) as { path: string; zeroShot: number; accuracy: number };
    expect(path).toBe(at("mine", "tiny", "swatchesVal", "finetuned.safetensors"));
    expect(filesIn(at("mine", "tiny", "swatchesVal"))).toEqual(["finetuned.safetensors", "run.json"]);
    // θ0 + 1 · (θ − θ0) is the fine-tuned model, but for the rounding of the task vector.
    const out2 = at("refound", "zeroshot.safetensors");
    expect(
      await atlas(
        "merge",
        "--checkpoints",
        at("mine"),
        "--model",
        "tiny",
        "--scale",
        "1",
        "--task-vectors",
        "swatches",
        "--out",
        out2,
      ),
    ).toMatchObject({ status: 0 });
    writeAbout(at("refound"));
    cpSync(at("models", "tiny", "head_swatchesVal.safetensors"), at("refound", "head_swatchesVal.safetensors"));
    expect((await evaluate("--model", at("refound"), ...swatches())).accuracy).toBeCloseTo(accuracy, 1);
    expect((await evaluate(...tiny(), ...swatches())).accuracy).toBe(zeroShot);
  });

  test("leaves no tensor behind", async () => {
    const before = tf.memory().numTensors;
    expect(await finetune("tidy")).toMatchObject({ status: 0 });
    expect(tf.memory().numTensors).toBe(before);
  });

  test("does not replace a task vector that is there", async () => {
    cpSync(at("models"), at("theirs"), { recursive: true });
    writePictures(at("Alpha"), ["red", "blue"]);
    const { status, err } = await finetune("theirs", "--target", at("Alpha"));
    expect(status).toBe(2);
    expect(err).toContain("task_vector.safetensors");
    expect(filesIn(at("theirs", "tiny", "AlphaVal"))).toEqual(["task_vector.safetensors"]);
  });
});

describe("--help", () => {
  test.each(["doctor", "cuda-setup", "inspect", "finetune", "few-shots", "eval", "merge"])(
    "of %s fits the terminal and ends with the flags of every command",
    async (name) => {
      const { status, out } = await atlas(name, "--help");
      expect(status).toBe(0);
      expect(out.split("\n").filter((line) => line.length > 80)).toEqual([]);
      expect(out.lastIndexOf("Every command:")).toBeGreaterThan(out.lastIndexOf("--backend"));
    },
  );
});

test("--threads reaches every encoder that is compiled", async () => {
  writeFileSync(
    at("counting.mjs"),
    `
    export const plugin = {
      id: "counting", kind: "backend", options: { safeParse: (data) => ({ success: true, data }) },
      register: (container) => {
        const [cpu] = container.resolveAll(Symbol.for("atlas-tv.backend"));
        container.register(Symbol.for("atlas-tv.backend"), { useValue: {
          id: "counting", probe: () => cpu.probe(), activate: () => cpu.activate(),
          compile: (spec, base, vectors, composition, options) => {
            (globalThis.compiledWith ??= []).push([spec.family, options?.threads]);
            return cpu.compile(spec, base, vectors, composition, options);
          },
        } });
      },
    };`,
  );
  const compiled = globalThis as { compiledWith?: [string, number | undefined][] };
  const counted = ["--plugin", at("counting.mjs"), "--backend", "counting", "--threads", "1", ...tiny(), "--target", at("wide")];
  writePictures(at("wide"), ["red square", "green round"]);
  expect(await atlas("few-shots", ...counted, "--subsample", "1", "--epochs", "1", "--run", at("counted"))).toMatchObject({
    status: 0,
  });
  expect(await atlas("eval", ...counted)).toMatchObject({ status: 0 });
  expect(await atlas("finetune", ...counted, "--save", at("counted-checkpoints"))).toMatchObject({ status: 0 });
  expect(compiled.compiledWith).toEqual([
    ["text", 1],
    ["vit", 1],
    ["text", 1],
    ["vit", 1],
    ["text", 1],
    ["vit", 1],
  ]);
});
