import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readCheckpoint, writeSafetensorsFile } from "@atlas-tv/checkpoints";
import { storedTensor, type HostTensor, type StoredTensor } from "@atlas-tv/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { atlas, filesIn, temporaryFolder } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { SPEC, TASKS, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const good = (): string => at("models", "tiny");

beforeAll(async () => {
  await writeTinyModel(good());
  await writeTinyModel(at("models", "stranger"), "another");
  writePictures(at("swatches"), ["blue", "green", "red"]);
  expect(await run("done")).toMatchObject({ status: 0 });
});
afterAll(folder.remove);

function run(name: string, ...more: string[]): ReturnType<typeof atlas> {
  return atlas(
    "few-shots",
    "--model",
    good(),
    "--target",
    at("swatches"),
    "--subsample",
    "2",
    "--epochs",
    "1",
    "--batch-size",
    "16",
    "--run",
    at("runs", name),
    ...more,
  );
}

/** A copy of the tiny model of which one file is spoilt. */
function spoilt(name: string, spoil: (model: string) => void): string {
  const model = at("spoilt", name);
  rmSync(model, { recursive: true, force: true });
  cpSync(good(), model, { recursive: true });
  spoil(model);
  return model;
}

/** Replaces the header of a safetensors file, its data unchanged. */
function rewriteHeader(
  path: string,
  edit: (header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>) => void,
): void {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Parameters<typeof edit>[0];
  edit(header);
  const json = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([size, json, file.subarray(8 + length)]));
}

async function rewriteTensors(path: string, edit: (tensors: Map<string, StoredTensor | HostTensor>) => void): Promise<void> {
  const tensors = await readCheckpoint(
    path,
    async (file) =>
      new Map(
        await Promise.all(
          [...file.tensors].map(async ([name, { dtype, shape, bytes }]): Promise<[string, StoredTensor | HostTensor]> => {
            const data = await bytes();
            return [name, { dtype, shape, bytes: () => Promise.resolve(data) }];
          }),
        ),
      ),
  );
  edit(tensors);
  await writeSafetensorsFile(path, tensors);
}

function zeros(...shape: number[]): StoredTensor {
  return storedTensor({ dtype: "F32", shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });
}

/** What a refused command line says: all four parts, on stderr alone. */
function expectRefusal({ status, out, err }: Awaited<ReturnType<typeof atlas>>, ...said: (string | RegExp)[]): void {
  expect(err).toMatch(/^atlas: \S.*\n {2}got: \S.*\n {2}expected: \S.*\n {2}next: \S.*\n$/);
  for (const text of said) expect(err).toMatch(text);
  expect({ status, out }).toEqual({ status: 2, out: "" });
}

const BASE = "zeroshot.safetensors";

describe("a base model is refused that", () => {
  const cases: readonly [string, (path: string) => void | Promise<void>, readonly (string | RegExp)[]][] = [
    [
      "is truncated",
      (path) => {
        truncateSync(path, readFileSync(path).length - 100);
      },
      [BASE],
    ],
    [
      "is cut within its header",
      (path) => {
        truncateSync(path, 40);
      },
      [BASE, "header"],
    ],
    [
      "is empty",
      (path) => {
        truncateSync(path, 0);
      },
      [BASE],
    ],
    [
      "announces a header longer than the file",
      (path) => {
        const file = readFileSync(path);
        file.writeBigUInt64LE(BigInt(file.length + 1), 0);
        writeFileSync(path, file);
      },
      [BASE, "header"],
    ],
    [
      "has overlapping tensors",
      (path) => {
        rewriteHeader(path, (header) => {
          const [first, second] = Object.values(header).filter(
            (entry) => "data_offsets" in entry && entry.shape.length === 1 && entry.shape[0] === SPEC.outputWidth,
          );
          second!.data_offsets = first!.data_offsets;
        });
      },
      [BASE, /overlap|hole|offset/i],
    ],
    [
      "has an element type that is not read",
      (path) => {
        rewriteHeader(path, (header) => {
          header["visual.proj"]!.dtype = "F8_E4M3";
        });
      },
      [BASE, "F8_E4M3"],
    ],
    [
      "has whole numbers for weights",
      (path) => {
        rewriteHeader(path, (header) => {
          header["visual.proj"]!.dtype = "I32";
        });
      },
      ["visual.proj", "I32"],
    ],
    [
      "has other blocks than its model",
      (path) =>
        rewriteTensors(path, (tensors) => {
          tensors.delete("visual.proj");
          tensors.set("visual.ln_post.weight", zeros(3));
          tensors.set("visual.transformer.resblocks.1.ln_1.weight", zeros(16));
          tensors.set("visual.transformer.resblocks.2.ln_1.weight", zeros(16));
        }),
      [
        BASE,
        '"visual.proj" is missing',
        /"visual.ln_post.weight" is \[3\] instead of \[16\]/,
        '"visual.transformer.resblocks.1.ln_1.weight" is unexpected; …',
      ],
    ],
    [
      "has NaN among its weights",
      (path) =>
        rewriteTensors(path, (tensors) => {
          tensors.set("visual.proj", { dtype: "F32", shape: [16, 16], data: new Float32Array(256).fill(0.1).fill(NaN, 7, 9) });
        }),
      ["visual.proj", "NaN", "index 7"],
    ],
  ];

  test.each(cases)("%s", async (title, spoil, said) => {
    const model = spoilt("base", () => {});
    await spoil(join(model, BASE));
    const before = filesIn(folder.path);
    expectRefusal(await run("refused", "--model", model), ...said);
    expectRefusal(
      await atlas("merge", "--model", model, "--scale", "1", "--task-vectors", "Alpha", "--out", at("merged.safetensors")),
      ...said,
    );
    expect(filesIn(folder.path), title).toEqual(before);
  });
});

describe("another file is refused", () => {
  test("a truncated task vector", async () => {
    const model = spoilt("vector", (path) => {
      truncateSync(join(path, "AlphaVal", "task_vector.safetensors"), 1000);
    });
    expectRefusal(await run("refused", "--model", model), "AlphaVal");
  });

  test("a fine-tuned model with NaN", async () => {
    const model = spoilt("finetuned", () => {});
    await rewriteTensors(join(model, "BetaVal", "finetuned.safetensors"), (tensors) => {
      tensors.set("visual.proj", { dtype: "F32", shape: [16, 16], data: new Float32Array(256).fill(Infinity) });
    });
    expectRefusal(await run("refused", "--model", model), "visual.proj", "Beta");
  });

  test("a config that is no JSON, and one of another architecture", async () => {
    expectRefusal(
      await run(
        "refused",
        "--model",
        spoilt("config", (path) => {
          writeFileSync(join(path, "open_clip_config.json"), "{");
        }),
      ),
      "open_clip_config.json",
    );
    const other = spoilt("config", (path) => {
      writeFileSync(
        join(path, "open_clip_config.json"),
        JSON.stringify({ model_cfg: { embed_dim: 16, vision_cfg: { timm_model_name: "x" }, text_cfg: {} } }),
      );
    });
    expectRefusal(await run("refused", "--model", other), "open_clip_config.json");
  });

  test("a head of other classes, and one whose classes are in another order", async () => {
    writePictures(at("four", "swatches"), ["blue", "green", "red", "square"]);
    expectRefusal(await run("refused", "--target", at("four", "swatches")), "3 classes", "4 classes");
    const path = at("spoilt", "head", "head_swatchesVal.safetensors");
    const model = spoilt("head", () => {});
    await writeSafetensorsFile(path, new Map([["weight", zeros(3, SPEC.outputWidth)]]), {
      class_names: '["red","green","blue"]',
    });
    expectRefusal(await run("refused", "--model", model), "red, green, blue", "blue, green, red");
  });

  test("a vocabulary that is no JSON", async () => {
    const model = spoilt("words", (path) => {
      writeFileSync(join(path, "vocabulary.json"), "words");
      rmSync(join(path, "head_swatchesVal.safetensors"));
    });
    expectRefusal(await run("refused", "--model", model), "vocabulary.json");
  });

  test("to inspect: one that is not there, a folder, a picture", async () => {
    expectRefusal(await atlas("inspect", at("nothing.safetensors")), "nothing.safetensors");
    expectRefusal(await atlas("inspect", folder.path), "a folder");
    expectRefusal(await atlas("inspect", at("swatches", "train", "red", "0.png")), "0.png");
  });
});

describe("images are refused", () => {
  const pictures = (name: string, spoil: (path: string) => void): string => {
    cpSync(at("swatches"), at(name), { recursive: true });
    spoil(at(name));
    return at(name);
  };

  test.each(["train", "test"])("that are none, among those of %s", async (part) => {
    const target = pictures(`text-${part}`, (path) => {
      for (let i = 0; i < 8; i++) writeFileSync(join(path, part, "red", `${i}.png`), "not a picture");
    });
    cpSync(join(good(), "head_swatchesVal.safetensors"), join(good(), `head_text-${part}Val.safetensors`));
    expectRefusal(
      await run("refused", "--target", target, "--subsample", "12", "--allow-short"),
      /red.\d\.png/,
      "not a picture",
      "PNG or JPEG",
    );
    expectRefusal(await atlas("finetune", "--model", good(), "--target", target, "--save", at("checkpoints")), /red.\d\.png/);
    expect(filesIn(at("runs", "refused"))).toEqual([]);
    expect(filesIn(at("checkpoints"))).toEqual([]);
  });

  test("when a class has fewer than k", async () => {
    expectRefusal(await run("refused", "--subsample", "40"), "--subsample 40", /1\d images of class/, "at most 1");
    expect(filesIn(at("runs", "refused"))).toEqual([]);
  });

  test("of a single class, without a class, and without a test image", async () => {
    writePictures(at("lonely"), ["red"]);
    expectRefusal(await run("refused", "--target", at("lonely")), 'a single class, "red"');
    expectRefusal(
      await atlas("finetune", "--model", good(), "--target", at("lonely"), "--save", at("checkpoints")),
      "a single class",
    );
    mkdirSync(at("hollow"));
    expectRefusal(await run("refused", "--target", at("hollow")), "no subfolder");
    writePictures(at("untested"), ["red", "green"], { test: 0 });
    expectRefusal(await run("refused", "--target", at("untested")), "no test images");
  });
});

describe("a name is refused that is unknown:", () => {
  test.each([
    ["backend", ["installed: cpu", "@atlas-tv/backend-"]],
    ["adapter", ["installed: linear", "@atlas-tv/adapters-"]],
    ["objective", ["installed: cross-entropy", "@atlas-tv/objective-"]],
  ])("%s", async (kind, said) => {
    expectRefusal(await run("refused", `--${kind}`, "quux"), `--${kind} quux`, ...said);
  });

  test("data set", async () => {
    expectRefusal(await run("refused", "--target", "Quux"), "Quux", "MNIST", "FashionMNIST");
  });

  test("task vector", async () => {
    expectRefusal(await run("refused", "--task-vectors", "Alpha,Quux"), "Quux", TASKS.join(", "));
  });

  test("model", async () => {
    expectRefusal(await run("refused", "--checkpoints", at("models"), "--model", "quux"), "--model quux", "stranger, tiny");
    expectRefusal(await run("refused", "--checkpoints", at("nowhere"), "--model", "quux"), "--model quux", "nowhere");
  });

  test("plug-in", async () => {
    expectRefusal(await run("refused", "--plugin", "@atlas-tv/quux"), "npm install @atlas-tv/quux");
    expectRefusal(await run("refused", "--plugin", at("quux.mjs")), "quux.mjs");
    writeFileSync(at("broken.mjs"), "throw new TypeError('not today');");
    expectRefusal(await run("refused", "--plugin", at("broken.mjs")), "broken.mjs", "TypeError: not today");
    writeFileSync(at("other.mjs"), "export const other = 1;");
    expectRefusal(await run("refused", "--plugin", at("other.mjs")), 'no export "plugin"');
  });

  test("option of a plug-in", async () => {
    expectRefusal(await run("refused", "--adapter", "linear", "--adapter-options", "{ stairs: 3 }"), '"stairs"', "steps");
    expectRefusal(await run("refused", "--adapter", "linear", "--adapter-options", "{ steps: -3 }"), '"steps"');
    expectRefusal(await run("refused", "--adapter-options", "{ steps: 3 }"), "--adapter-options");
  });
});

describe("a place to write to is refused", () => {
  test.each([
    ["below a file", () => at("swatches", "train", "red", "0.png", "sub")],
    ["where the system allows none", () => "/proc/atlas"],
  ])("%s", async (_title, place) => {
    const before = filesIn(folder.path);
    expectRefusal(await run("refused", "--run", place()), place());
    expectRefusal(await atlas("finetune", "--model", good(), "--target", at("swatches"), "--save", place()), place());
    expectRefusal(
      await atlas(
        "merge",
        "--model",
        good(),
        "--scale",
        "1",
        "--task-vectors",
        "Alpha",
        "--out",
        join(place(), "out.safetensors"),
      ),
      place(),
    );
    expect(filesIn(folder.path)).toEqual(before);
  });

  test("that is a folder where a file belongs, or the base model itself", async () => {
    const merge = (out: string): ReturnType<typeof atlas> =>
      atlas("merge", "--model", good(), "--scale", "1", "--task-vectors", "Alpha", "--out", out);
    const before = filesIn(folder.path);
    expectRefusal(await merge(at("swatches")), at("swatches"));
    expectRefusal(await merge(join(good(), BASE)), "base model itself");
    expect(filesIn(folder.path)).toEqual(before);
  });
});

describe("a composition is refused", () => {
  const composition = (): string => at("runs", "done", "composition.safetensors");

  test("that was learned from another model", async () => {
    expectRefusal(
      await atlas("eval", "--model", at("models", "stranger"), "--target", at("swatches"), "--composition", composition()),
      "base model",
      "SHA-256",
    );
    expectRefusal(
      await atlas(
        "merge",
        "--model",
        at("models", "stranger"),
        "--composition",
        composition(),
        "--out",
        at("merged.safetensors"),
      ),
      "base model",
    );
    expect(filesIn(folder.path)).not.toContain("merged.safetensors");
  });

  test("whose task vectors have changed", async () => {
    const model = spoilt("changed", () => {});
    cpSync(join(at("models", "stranger"), "AlphaVal"), join(model, "AlphaVal"), { recursive: true });
    expectRefusal(
      await atlas("eval", "--model", model, "--target", at("swatches"), "--composition", composition()),
      "task vector 1",
      "Alpha",
    );
  });

  test("where a checkpoint is expected, and the other way round", async () => {
    const model = spoilt("confused", (path) => {
      cpSync(composition(), join(path, BASE));
    });
    expectRefusal(await run("refused", "--model", model), BASE);
    expectRefusal(
      await atlas("eval", "--model", good(), "--target", at("swatches"), "--composition", join(good(), BASE)),
      BASE,
      "a learned composition",
    );
    expectRefusal(
      await atlas("eval", "--model", good(), "--target", at("swatches"), "--composition", at("runs", "done", "run.json")),
      "a learned composition",
    );
  });

  test("that merge is given beside --scale, or not at all", async () => {
    const merge = (...args: string[]): ReturnType<typeof atlas> =>
      atlas("merge", "--model", good(), "--out", at("merged.safetensors"), ...args);
    expectRefusal(await merge(), "neither");
    expectRefusal(await merge("--composition", composition(), "--scale", "1"), "both");
    expectRefusal(await merge("--scale", "1"), "--task-vectors", TASKS.join(", "));
    expectRefusal(await merge("--composition", composition(), "--task-vectors", "Alpha"), "--task-vectors");
    expectRefusal(await atlas("merge", "--model", good(), "--composition", composition()), "no --out");
  });
});

describe("flags are refused:", () => {
  test.each(["none", "0", "-3", "1.5", "0.0", "2.", "1e1", "", "4 shots"])("--subsample %j", async (text) => {
    expectRefusal(await run("refused", `--subsample=${text}`), "--subsample");
  });

  test.each([
    ["--lr", "0"],
    ["--lr", "fast"],
    ["--epochs", "0"],
    ["--epochs", "1.5"],
    ["--batch-size", "-1"],
    ["--lp-reg", "3"],
    ["--label-smoothing", "1"],
    ["--seed", "a"],
    ["--seed", "1,1"],
    ["--seed", ","],
    ["--threads", "0"],
  ])("%s %s", async (flag, value) => {
    expectRefusal(await run("refused", flag, value), flag);
  });

  test("a settings file with an unknown key", async () => {
    writeFileSync(at("settings.yaml"), "learning-rate: 0.1\n");
    expectRefusal(await run("refused", "--settings", at("settings.yaml")), '"learning-rate"', "lr, wd");
    expectRefusal(await run("refused", "--settings", at("none.yaml")), "none.yaml");
  });

  test.each([["--quux"], ["--epochs"], ["--split", "x"]])("%s, by the parser", async (...args) => {
    const { status, out, err } = await atlas("eval", ...args);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toContain(args[0]);
  });
});

describe("a run folder is refused", () => {
  test("that holds a finished run, without --resume", async () => {
    const before = readFileSync(at("runs", "done", "run.json"), "utf8");
    expectRefusal(await run("done"), "finished run", "--resume", "--run");
    expect(readFileSync(at("runs", "done", "run.json"), "utf8")).toBe(before);
  });

  test("that was begun with other options, seeds, task vectors or weights", async () => {
    for (const more of [
      ["--lr", "0.2"],
      ["--seed", "2"],
      ["--task-vectors", "Alpha"],
      ["--no-blockwise-coef"],
      ["--model", at("models", "stranger")],
      ["--adapter", "linear"],
      ["--threads", "1"],
    ]) {
      expectRefusal(await run("done", "--resume", ...more), "other options");
    }
  });
});
